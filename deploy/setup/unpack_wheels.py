"""Unpacks of some wheels what a C++ program needs: unpack_wheels.py WHEELS_DIR OUT_DIR (OUT_DIR must not exist)."""
import pathlib
import sys
import zipfile

WANTED = ("torch/include/", "torch/lib/", "torch/share/", "nvidia/cu13/lib/")


def wanted(name: str) -> bool:
    licence = ".dist-info/" in name and ("LICENSE" in name.upper() or "NOTICE" in name.upper())
    return name.startswith(WANTED) or licence


def main(wheels: pathlib.Path, out: pathlib.Path) -> None:
    out.mkdir(parents=True)
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            names = [n for n in archive.namelist() if wanted(n)]
            print(f"[setup]   {wheel.name}: {len(names)} files", flush=True)
            archive.extractall(out, names)
    if not (out / "torch/lib/libtorch_cpu.so").exists():
        sys.exit(f"[setup] error: no torch/lib/libtorch_cpu.so in the wheels of {wheels}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
