"""deploy/setup/setup.sh with stand-ins for what it calls: nothing is installed or downloaded. usage: setup_test.py"""
import os
import pathlib
import subprocess
import tempfile
import unittest

SETUP = pathlib.Path(__file__).resolve().parents[2] / "deploy/setup"


class Setup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="virga-test-")
        self.root = pathlib.Path(self.folder.name)
        (self.root / "bin").mkdir()
        self.stand_in("dpkg-query", "echo installed")
        self.stand_in("apt-get", "echo apt-get \"$@\" >> $CALLS")
        self.stand_in("id", "echo 0")
        self.stand_in("uname", "echo x86_64")
        self.stand_in("df", "echo header; echo 'disk 9999 9999 9999 1% /'")
        # Downloading and unpacking in one: what comes last on the command line says which.
        self.stand_in("python3", 'echo python3 "$@" >> $CALLS; case "$*" in *download*) exit ${FAIL:-0};; '
                                 '*unpack_wheels*) for f in $4 $(case $4 in torch*) echo torch/include/ATen/ATen.h;; esac); do '
                                 'mkdir -p "$(dirname "$3/$f")"; touch "$3/$f"; done;; esac')

    def tearDown(self):
        self.folder.cleanup()

    def stand_in(self, name, script):
        file = self.root / "bin" / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def run_setup(self, *arguments, **environment):
        return subprocess.run([SETUP / "setup.sh", *arguments], capture_output=True, text=True, timeout=30,
                              env={"PATH": f"{self.root}/bin:{os.environ['PATH']}", "HOME": str(self.root), "CALLS": str(self.root / "calls"),
                                   **environment})

    def calls(self):
        file = self.root / "calls"
        return file.read_text() if file.exists() else ""

    def test_the_second_time_nothing_is_called(self):
        self.assertEqual(self.run_setup().returncode, 0)
        self.assertIn("--require-hashes", self.calls())
        (self.root / "calls").unlink()
        self.assertEqual(self.run_setup().returncode, 0)
        self.assertEqual(self.calls(), "")

    def test_without_root_the_one_line_to_run_is_printed(self):
        self.stand_in("dpkg-query", 'test "$3" = catch2 || echo installed')
        self.stand_in("id", "echo 1000")
        result = self.run_setup()
        self.assertEqual(result.returncode, 1)
        self.assertIn("sudo apt-get update && sudo apt-get install -y --no-install-recommends catch2 \n", result.stderr)
        self.assertEqual(self.calls(), "")

    def test_root_installs_what_is_missing_and_no_more(self):
        self.stand_in("dpkg-query", 'test "$3" = catch2 || test "$3" = cmake || echo installed')
        self.assertEqual(self.run_setup().returncode, 0)
        self.assertIn("apt-get install -y -qq --no-install-recommends cmake catch2\n", self.calls())

    def test_too_little_disk_is_said_before_the_download(self):
        self.stand_in("df", "echo header; echo 'disk 9999 9999 1000 1% /'")
        result = self.run_setup()
        self.assertEqual(result.returncode, 1)
        self.assertIn("needs 3072 MiB", result.stderr)
        self.assertIn("has 1000 MiB free", result.stderr)
        self.assertEqual(self.calls(), "")

    def test_a_download_that_breaks_leaves_nothing_and_can_be_repeated(self):
        result = self.run_setup(FAIL="1")
        self.assertEqual(result.returncode, 1)
        self.assertIn("Run the same command again", result.stderr)
        self.assertEqual([p.name for p in (self.root / ".cache/virga").iterdir()], ["setup.lock"])
        self.assertEqual(self.run_setup().returncode, 0)

    def test_ones_own_libtorch_is_used_and_checked(self):
        self.assertIn("has no include/ATen/ATen.h", self.run_setup(VIRGA_TORCH=str(self.root)).stderr)
        for file in ("mine/include/ATen/ATen.h", "mine/lib/libtorch_cpu.so"):
            (self.root / file).parent.mkdir(parents=True)
            (self.root / file).touch()
        result = self.run_setup(VIRGA_TORCH=str(self.root / "mine"))
        self.assertEqual((result.returncode, self.calls()), (0, ""), result.stderr)
        self.assertIn(f"libtorch: yours, {self.root}/mine", result.stdout)

    def test_cuda_is_a_second_folder_and_leaves_the_first_alone(self):
        result = self.run_setup("--cuda")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.calls().count("--require-hashes"), 2)
        cache = self.root / ".cache/virga"
        self.assertEqual(sorted(p.name for p in cache.iterdir()), ["libtorch-2.11.0", "libtorch-2.11.0-cuda", "setup.lock"])
        self.assertTrue((cache / "libtorch-2.11.0-cuda/torch/include/ATen/ATen.h").exists())
        self.assertFalse((cache / "libtorch-2.11.0/nvidia").exists())
        (self.root / "calls").unlink()
        self.assertEqual(self.run_setup("--cuda").returncode, 0)
        self.assertEqual(self.calls(), "")

    def test_cuda_needs_a_libtorch_that_has_it(self):
        for file in ("mine/include/ATen/ATen.h", "mine/lib/libtorch_cpu.so"):
            (self.root / file).parent.mkdir(parents=True)
            (self.root / file).touch()
        result = self.run_setup("--cuda", VIRGA_TORCH=str(self.root / "mine"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("has no lib/libtorch_cuda.so", result.stderr)

    def test_every_download_is_pinned_and_no_host_is_named(self):
        for line in ((SETUP / "libtorch.txt").read_text() + (SETUP / "libtorch-cuda.txt").read_text()).splitlines():
            self.assertRegex(line, r"^#|^[a-z0-9-]+==[0-9.]+ --hash=sha256:[0-9a-f]{64}$")
        for line in (SETUP / "python-tests.txt").read_text().splitlines():
            self.assertRegex(line, r"^#|^[A-Za-z_-]+[0-9]*==[0-9.]+$")
        for file in SETUP.iterdir():
            self.assertNotIn("http", file.read_text().replace("httpcore", "").replace("httpx", ""), file)


if __name__ == "__main__":
    unittest.main(verbosity=2)
