"""Headless Chromium with a phone's screen, which the tests of the web page control through its DevTools pipe.

The messages are JSON, followed by a zero byte, on the file descriptors 3 and 4.
"""

import base64
import itertools
import json
import os
import pathlib
import select
import shutil
import subprocess
import time

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}

FLAGS = (
    "--headless",
    "--no-sandbox",  # it refuses to sandbox for root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--remote-debugging-pipe",
)


class Browser:
    """A Chromium with one page, for a `with` block."""

    def __init__(self, folder: pathlib.Path, flags: tuple[str, ...] = ()):
        """`folder`: for the profile and for downloads."""
        self.downloads = folder / "downloads"
        self.requests: list[str] = []
        """All URLs that the page, its workers and its service worker request."""
        self.faults: list[str] = []
        """Errors on their consoles."""
        self._context: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._unread = b""
        from_browser, to_us = os.pipe()
        to_browser, from_us = os.pipe()
        # bash puts the pipe's ends in their places, so that no code of ours runs between fork and exec.
        words = [PROGRAM, *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        command = ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{to_us}', "bash", *words]
        # No screen, no session bus: it looks for neither. In the locale C it saves no file whose name is not ASCII.
        environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS")}
        environment["LC_ALL"] = "C.UTF-8"
        self._process = subprocess.Popen(
            command, pass_fds=(to_browser, to_us), env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(to_us)
        self._read, self._write = from_browser, from_us
        (target,) = (t for t in self.send("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._attach(target["targetId"])

    def renew(self) -> None:
        """Go on with a new page of a profile of its own, in which nothing is stored yet."""
        context = self.send("Target.createBrowserContext", disposeOnDetach=True)["browserContextId"]
        self._context = {"browserContextId": context}
        self.close_page()

    def close_page(self) -> None:
        """Close the page and go on with an empty one of the same profile."""
        target = self.send("Target.createTarget", url="about:blank", **self._context)["targetId"]
        self.page("Page.close")
        self._attach(target, **self._context)

    def _attach(self, target: str, **context: str) -> None:
        self._page = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._watch(self._page)
        self.page("Page.enable")
        self.page("Emulation.setDeviceMetricsOverride", **PHONE)
        self.page("Emulation.setTouchEmulationEnabled", enabled=True)
        where = {"behavior": "allow", "downloadPath": str(self.downloads)}
        self.send("Browser.setDownloadBehavior", **where, **context)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(timeout=30)
        os.close(self._read)
        os.close(self._write)

    def send(self, method: str, session: str | None = None, **parameters):
        """Call a method of the protocol and return its result."""
        number = self._post(method, session, parameters)
        while (message := self._message()).get("id") != number:
            self._note(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message["result"]

    def page(self, method: str, **parameters):
        """Call a method of the protocol in the page."""
        return self.send(method, self._page, **parameters)

    def open(self, url: str) -> None:
        """Open a URL without waiting for the page."""
        self.page("Page.navigate", url=url)

    def run(self, script: str):
        """The value of an expression in the page. Promises are awaited."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        answer = self.page("Runtime.evaluate", **asked)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']['exception'].get('description')}")
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 60.0):
        """Wait until an expression is true and return it. A timeout is an AssertionError with the page's messages."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if value := self.run(script):
                    return value
            except RuntimeError:  # between two documents
                pass
            time.sleep(0.1)
        raise AssertionError(f"never: {script}; the page: {self.run('document.body.innerText')!r}; {self.faults}")

    def give(self, selector: str, path: pathlib.Path) -> None:
        """Choose a file in an <input type=file>."""
        root = self.page("DOM.getDocument")["root"]["nodeId"]
        node = self.page("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.page("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def press(self, key: str, code: int, shift: bool = False) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {}
        stroke = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 * shift, **text}
        self.page("Input.dispatchKeyEvent", type="keyDown", **stroke)
        self.page("Input.dispatchKeyEvent", type="keyUp", **stroke)

    def screenshot(self, path: pathlib.Path) -> None:
        """A screenshot as PNG."""
        path.write_bytes(base64.b64decode(self.page("Page.captureScreenshot", format="png")["data"]))

    def _watch(self, session: str) -> None:
        """Listen to requests, errors and new workers of a target."""
        self._post("Network.enable", session, {})
        self._post("Runtime.enable", session, {})
        self._post("Log.enable", session, {})
        attach = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}
        self._post("Target.setAutoAttach", session, attach)
        self._post("Runtime.runIfWaitingForDebugger", session, {})

    def _note(self, message: dict) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Target.attachedToTarget":
                self._watch(parameters["sessionId"])
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Runtime.exceptionThrown":
                self.faults.append(json.dumps(parameters["exceptionDetails"])[:500])
            case "Log.entryAdded" if parameters["entry"]["source"] in ("network", "security"):
                self.faults.append(f"{parameters['entry']['text']} {parameters['entry'].get('url')}")

    def _post(self, method: str, session: str | None, parameters: dict) -> int:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        return number

    def _message(self, seconds: float = 60.0) -> dict:
        while b"\0" not in self._unread:
            if not select.select([self._read], [], [], seconds)[0]:
                raise TimeoutError("Chromium does not answer")
            piece = os.read(self._read, 1 << 16)
            if not piece:
                raise EOFError("Chromium has ended")
            self._unread += piece
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)
