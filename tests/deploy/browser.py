"""A real browser, headless: what a page shows when its script has run, and a picture of it."""
import html
import re
import shutil
import struct
import subprocess
import zlib

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


class Browser:
    """@param folder: where its profile goes"""

    def __init__(self, folder: str):
        self.folder = folder

    def run(self, url: str, *options: str) -> bytes:
        return subprocess.run([BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                               "--no-first-run", f"--user-data-dir={self.folder}/browser", "--window-size=1200,1500",
                               "--virtual-time-budget=6000", *options, url], capture_output=True, timeout=90).stdout

    def page(self, url: str) -> tuple:
        """The markup without its scripts, as a reader has it, and the number of charts that were drawn."""
        page = self.run(url, "--dump-dom").decode()
        shown = html.unescape(re.sub(r"<script.*?</script>", "", page, flags=re.S))
        return shown, len(re.findall(r"<canvas[^>]*width=\"?[1-9]", page))

    def picture(self, url: str) -> tuple:
        """Width, height and the number of different bytes of a screenshot."""
        file = f"{self.folder}/page.png"
        self.run(url, f"--screenshot={file}")
        with open(file, "rb") as f:
            png = f.read()
        data, at = b"", 8
        while at < len(png):
            size, kind = struct.unpack(">I4s", png[at:at + 8])
            data += png[at + 8:at + 8 + size] if kind == b"IDAT" else b""
            at += 12 + size
        return *struct.unpack(">II", png[16:24]), len(set(zlib.decompress(data)))
