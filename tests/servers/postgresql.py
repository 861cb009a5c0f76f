"""A PostgreSQL of our own, on loopback and in a folder that is removed with it.

Its programs are looked for on the PATH and where Debian puts them. Root on a machine with
``apt-get`` installs Debian's package instead of leaving tests out; the cluster that the package
would create and start is not created. Anybody on this machine may log in while the tests run.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.servers.process import HOST, folder_of, free_port, running

PROGRAMS = ("initdb", "postgres", "pg_isready")
DEBIAN = Path("/usr/lib/postgresql")
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/open-finops-tests.conf")
APT = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300")
UNPRIVILEGED = "postgres"  # the user that Debian's package makes; PostgreSQL refuses root
THROWN_AWAY = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")


class Database(NamedTuple):
    """An address that clients understand, ``postgresql://…``."""

    uri: str

    def rows(self, sql):
        """Run one statement, commit it, and return its rows."""
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.uri, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()


class Postgres(NamedTuple):
    """A server on this machine; ``uri`` is that of its maintenance database."""

    uri: str

    @contextlib.contextmanager
    def database(self):
        """Make an empty database for as long as the block lasts."""
        name = f"finops_{uuid.uuid4().hex}"
        maintenance = Database(self.uri)
        maintenance.rows(f"CREATE DATABASE {name}")
        yield Database(f"{self.uri.rpartition('/')[0]}/{name}")
        maintenance.rows(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def server(log):
    """Run a ``Postgres``; skip the test where there is none and none can be installed."""
    programs = _find() or _install()
    user = _user()
    with folder_of(user) as folder:
        port = free_port()
        _initialise(programs, folder, user)
        place = ["-D", folder / "data", "-k", folder, "-h", HOST, "-p", port]
        ask = [str(programs / "pg_isready"), "-q", "-h", HOST, "-p", str(port)]

        def answers():
            return subprocess.run(ask, check=False).returncode == 0

        command = [programs / "postgres", *place, *THROWN_AWAY]
        with running(command, folder, log, answers, user):
            yield Postgres(f"postgresql://postgres@{HOST}:{port}/postgres")


def _find():
    on_path = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    newest_first = sorted(
        DEBIAN.glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True
    )
    complete = (
        folder
        for folder in on_path + newest_first
        if all((folder / program).exists() for program in PROGRAMS)
    )
    return next(complete, None)


def _install():
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.skip("no PostgreSQL here, and only root on Debian may install it")
    NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NO_CLUSTER.write_text("create_main_cluster = false\n")
    try:
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", "postgresql")
    finally:
        NO_CLUSTER.unlink()
    return _find() or pytest.skip("Debian's postgresql has no server")


def _apt(*command):
    done = subprocess.run(
        [*APT, *command],
        check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        last = "".join(done.stdout.splitlines()[-1:])
        pytest.skip(f"no PostgreSQL here, and apt-get {command[0]} failed: {last}")


def _user():
    if os.geteuid():
        return ""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(UNPRIVILEGED).pw_name
    return pytest.skip(f"PostgreSQL does not run as root, and there is no user {UNPRIVILEGED}")


def _initialise(programs, folder, user):
    kind = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(
        [str(programs / "initdb"), "-D", str(folder / "data"), *kind],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        user=user or None,
    )
