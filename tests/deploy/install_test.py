"""What `make install` and `make package` put in place works there. usage: install_test.py VIRGA [TEST...]"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from toy import SOURCE

VIRGA = ""


class Install(unittest.TestCase):
    def setUp(self):
        self.build = pathlib.Path(VIRGA).resolve().parents[1]
        self.folder = tempfile.TemporaryDirectory(prefix="virga-test-")
        self.root = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def check(self, prefix: pathlib.Path):
        """Nothing outside the prefix is needed but Debian's libraries: no variable and no cache of a user."""
        def run(*arguments):
            result = subprocess.run([prefix / "bin/virga", *arguments], env={"HOME": str(self.root), "XDG_RUNTIME_DIR": str(self.root)},
                                    capture_output=True, text=True, timeout=60)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            return result.stdout

        self.assertRegex(run("--version"), r"^virga \d")
        share = prefix / "share/virga"
        run("validate", str(share / "deploy/manifests/demo.yaml"))
        said = run("run", "--model", str(share / "models/zoo/cloud"), "--max-tokens", "8", "what is the pet of kim ingram ?")
        self.assertTrue(said.strip())
        libraries = subprocess.run(["ldd", prefix / "bin/virga"], capture_output=True, text=True).stdout
        torch = next(line for line in libraries.splitlines() if "libtorch_cpu" in line)
        self.assertIn(str(prefix.resolve()), str(pathlib.Path(torch.split()[2]).resolve()), "its own libtorch")
        self.assertNotIn("not found", libraries)

    def test_an_installed_command_works_where_it_was_put(self):
        subprocess.run(["cmake", "--install", self.build, "--prefix", self.root / "usr"], check=True, capture_output=True)
        self.check(self.root / "usr")
        self.check_unit(self.root / "usr/lib/systemd/system/virga-node@.service")

    def check_unit(self, unit: pathlib.Path):
        """As far as a machine goes that does not run systemd."""
        text = unit.read_text()
        self.assertIn("ExecStart=/usr/bin/virga node --manifest /etc/virga/virga.yaml --name %i", text)
        if analyze := shutil.which("systemd-analyze"):
            copy = self.root / "virga-node@edge-1.service"
            copy.write_text(text.replace("/usr/bin/virga", str(self.root / "usr/bin/virga")))
            result = subprocess.run([analyze, "verify", "--man=no", copy], capture_output=True, text=True)
            self.assertNotIn("virga-node", result.stderr)

    def test_a_package_has_the_same_and_names_what_it_needs(self):
        subprocess.run(["cpack", "-G", "DEB", "-B", self.root / "out"], cwd=self.build, check=True, capture_output=True)
        package = next((self.root / "out").glob("*.deb"))
        fields = subprocess.run(["dpkg-deb", "--field", package, "Package", "Depends"], check=True, capture_output=True, text=True).stdout
        for needed in ("libssl3", "libcaf-core", "libyaml-cpp", "libprometheus-cpp-core"):
            self.assertIn(needed, fields)
        subprocess.run(["dpkg-deb", "--extract", package, self.root / "root"], check=True)
        self.check(self.root / "root/usr")


if __name__ == "__main__":
    VIRGA = sys.argv.pop(1)
    unittest.main(verbosity=2)
