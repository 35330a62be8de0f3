"""Settings of the test suite: the product's own, with fixed keys and a database file per test process."""

import os
import tempfile
from pathlib import Path

from tests.redis_database import redis_of_this_process

os.environ.setdefault("SECRET_KEY", "test-key-test-key-test-key-test-key-test-key-test")
os.environ.setdefault("CREDENTIALS_KEYS", "Zm9yLXRlc3RzLW9ubHktMzItYnl0ZXMtbG9uZy1rZXk=")
os.environ.setdefault("PUBLIC_URL", "http://testserver")
os.environ["DEBUG"] = "false"

os.environ["REDIS_URL"] = redis_of_this_process()

from integration_manager.settings import *  # noqa: F403
from integration_manager.settings import DATABASES

ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: threads and worker processes of a test must see the same database.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(tempfile.gettempdir()) / f"hub-tests-{os.getpid()}.sqlite3")}
