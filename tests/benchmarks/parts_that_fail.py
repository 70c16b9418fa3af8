"""Parts for the runner's tests: `python parts_that_fail.py NAME INTO`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gpucheck.record import write_json


def raises(into):
    raise ValueError(f"a part that raises, from {Path(__file__).resolve()}")


def hangs(into):
    write_json(into, {"whole": False, "result": {"rows": [1]}})
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    into.with_name("left.txt").write_text(str(left.pid))
    time.sleep(600)


def kills_itself(into):
    os.kill(os.getpid(), signal.SIGSEGV)


def says_nothing(into):
    pass


def works(into):
    write_json(into, {"whole": True, "result": {"answer": 42}})


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
