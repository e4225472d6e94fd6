"""Unpacks of some wheels what a C++ program needs: unpack_wheels.py WHEELS_DIR OUT_DIR FILE [--headers]

OUT_DIR must not exist; FILE must be in it at the end. With --headers CUDA's headers are wanted too.
"""
import pathlib
import re
import sys
import zipfile

WANTED = re.compile(r"torch/(include|lib|share)/|nvidia/\w+/lib/(?!.*\.a$)")
HEADERS = re.compile(r"nvidia/cu13/include/")
LICENCES = re.compile(r".*(LICENSE|NOTICE)", re.IGNORECASE)


def wanted(name: str, headers: bool) -> bool:
    licence = LICENCES.match(name) and (".dist-info/" in name or name.startswith("nvidia/"))
    return bool(WANTED.match(name) or licence or headers and HEADERS.match(name))


def main(wheels: pathlib.Path, out: pathlib.Path, needed: str, headers: bool) -> None:
    out.mkdir(parents=True)
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            names = [n for n in archive.namelist() if wanted(n, headers)]
            print(f"[setup]   {wheel.name}: {len(names)} files", flush=True)
            archive.extractall(out, names)
    if not (out / needed).exists():
        sys.exit(f"[setup] error: no {needed} in the wheels of {wheels}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], "--headers" in sys.argv[4:])
