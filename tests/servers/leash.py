"""Run a server until whoever started this is gone, then end the server and remove its folder.

The starter holds the other end of stdin: however it ends, ``kill -9`` included, stdin ends with it.
Its arguments are the folder, the user to be ('' to stay who we are), and the server's command.
"""

import pwd
import select
import shutil
import signal
import subprocess
import sys

PATIENCE = 10


def main(folder, user, *command):
    """Return the server's exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, **_identity(user))
    try:
        while server.poll() is None and not _stdin_ended():
            pass
    finally:
        _end(server)
        shutil.rmtree(folder, ignore_errors=True)
    return server.returncode


def _identity(user):
    if not user:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _stdin_ended(within=0.2):
    return bool(select.select([sys.stdin], [], [], within)[0])


def _end(server):
    # PostgreSQL waits for its clients after SIGTERM, and not after SIGINT.
    server.send_signal(signal.SIGINT)
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
