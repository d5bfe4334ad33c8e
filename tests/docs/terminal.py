"""A terminal in which a page's blocks run one after another, as a reader pastes them: one shell and one Python, in one directory."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from tests.support.fenced import ROOT, Block

# A refusal ends the block that got it; `latchpin` answers what commands ask and lets servers run only until they answer.
_BEGIN = """
set -euo pipefail
curl() { command curl --fail-with-body "$@"; }
latchpin() { "$READER_PYTHON" "$READER_AT_LATCHPIN" "$@"; }
.venv/bin/latchpin() { latchpin "$@"; }
"""
_PYTHON = """
import json, os, sys
names = {"__name__": "__main__"}
for line in sys.stdin:
    told = json.loads(line)
    os.environ.clear()
    os.environ.update(told["environ"])
    exec(compile(told["code"], told["name"], "exec"), names)
    print(told["end"], flush=True)
"""


class Terminal:
    """Runs blocks, with the variables of those before. `output` is what the last one printed."""

    def __init__(self, directory: Path, environ: Mapping[str, str], replaced: Mapping[str, str]) -> None:
        self.directory, self.output = directory, ""
        self._replaced = replaced
        venv = Path(sys.executable).parent.parent
        (directory / ".venv").symlink_to(venv)
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LATCHPIN_")},
            "HOME": str(directory),
            "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "127.0.0.1",
            "READER_PYTHON": sys.executable,
            "READER_AT_LATCHPIN": str(Path(__file__).with_name("at_latchpin.py")),
            **environ,
        }
        self._shell = self._start(["bash", "--noprofile", "--norc"])
        self._python: subprocess.Popen[str] | None = None
        self.shell(_BEGIN)

    def close(self) -> None:
        """End the shell and the interpreter."""
        for process in filter(None, (self._shell, self._python)):
            process.kill()
            process.communicate()

    def run(self, block: Block) -> None:
        """Run a block; fails the test with all that it printed where it does not end well."""
        code, where = self.written(block), f"{block.page}:{block.line}"
        if block.language == "python":
            self.python(code, where)
        elif block.language == "js":
            name = f"block-{block.line}.mjs"
            (self.directory / name).write_text(code, encoding="utf-8")
            self.shell(f"node {name}", where)
        else:
            self.shell(code, where)

    def written(self, block: Block) -> str:
        """Return the code of a block, with names of this machine in the place of those that the text uses."""
        code = block.code
        for text, instead in self._replaced.items():
            code = code.replace(text, instead)
        return code

    def shell(self, code: str, where: str = "the shell") -> str:
        """Run lines in the shell; returns what they print."""
        end = uuid.uuid4().hex
        self.output = self._told(self._shell, f"{{\n{code}\n}} </dev/null 2>&1\necho {end}\n", end, where)
        return self.output

    def python(self, code: str, where: str = "Python") -> str:
        """Run lines in the interpreter, with the environment that the shell has by now; returns what they print."""
        exported = self.shell("env -0 | base64 -w0")
        environ = dict(each.partition("=")[::2] for each in base64.b64decode(exported).decode().split("\0") if each)
        self._python = self._python or self._start([sys.executable, "-W", "ignore", "-c", _PYTHON])
        end = uuid.uuid4().hex
        request = json.dumps({"environ": environ, "code": code, "name": where, "end": end})
        self.output = self._told(self._python, f"{request}\n", end, where)
        return self.output

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.directory,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _told(self, process: subprocess.Popen[str], text: str, end: str, where: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(text)
        process.stdin.flush()
        lines: list[str] = []
        for line in process.stdout:
            if end in line:
                return "".join([*lines, line.partition(end)[0]])
            lines.append(line)
        raise AssertionError(f"{where} does not run as written. It printed:\n{''.join(lines)[-4000:]}")
