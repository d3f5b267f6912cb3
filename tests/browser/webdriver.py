"""WebDriver (W3C) spoken with the standard library: as much as a person does on a few pages."""

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from png import smaller

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

# Nothing in the background, nothing beyond this machine.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--metrics-recording-only",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--window-size=760,900",
    "--force-device-scale-factor=1",
    "--disable-lcd-text",
    "--hide-scrollbars",
    "--lang=en",
]


def found():
    """The programs, or None when one is missing."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Driver:
    """chromedriver, until it is closed."""

    def __init__(self):
        self.browser, driver = found()
        self.log = tempfile.NamedTemporaryFile(prefix="chromedriver", suffix=".log")
        self.process = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True
        )
        self.port = None
        for line in self.process.stdout:
            started = re.search(r"started successfully on port (\d+)", line)
            if started:
                self.port = int(started.group(1))
                break
        if self.port is None:
            raise RuntimeError("chromedriver did not start")

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=data,
            method=method,
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None


class Window:
    """One browser with a profile of its own: another person's."""

    def __init__(self, driver):
        self.driver = driver
        self.profile = tempfile.TemporaryDirectory(prefix="browser-profile")
        options = {"binary": driver.browser, "args": [*FLAGS, f"--user-data-dir={self.profile.name}"]}
        always = {"browserName": "chrome", "goog:chromeOptions": options, "timeouts": {"pageLoad": 30000}}
        session = driver.call("POST", "/session", {"capabilities": {"alwaysMatch": always}})
        self.path = f"/session/{session['sessionId']}"

    def close(self):
        self.driver.call("DELETE", self.path)
        # The browser may still be writing its last files.
        for _ in range(50):
            try:
                self.profile.cleanup()
                return
            except OSError:
                time.sleep(0.1)

    def call(self, method, path, body=None):
        return self.driver.call(method, self.path + path, body)

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    @property
    def url(self):
        return self.call("GET", "/url")

    @property
    def cookies(self):
        return self.call("GET", "/cookie")

    def find(self, css):
        return self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def text(self, css="body"):
        return self.call("GET", f"/element/{self.find(css)}/text")

    def arrives(self, heading, seconds=20):
        """Whether a page with this heading comes: a click may return while the browser is still on its way."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if heading in self.text("h1"):
                    return True
            except RuntimeError:
                pass  # the page is being replaced
            time.sleep(0.05)
        return False

    def click(self, css):
        self.call("POST", f"/element/{self.find(css)}/click", {})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def screenshot(self, path):
        """The whole page, 760 wide, as high as it is."""
        end = self.run("return Math.ceil(document.body.lastElementChild.getBoundingClientRect().bottom)")
        chrome = self.run("return window.outerHeight - window.innerHeight")
        self.call("POST", "/window/rect", {"width": 760, "height": min(end + chrome, 1400)})
        with open(path, "wb") as out:
            out.write(smaller(base64.b64decode(self.call("GET", "/screenshot"))))
