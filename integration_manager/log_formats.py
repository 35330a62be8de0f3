"""The two forms of a log line: for people (``LOG_FORMAT=text``) and for machines (``LOG_FORMAT=json``)."""

import json
import logging
from datetime import UTC, datetime


class TextFormat(logging.Formatter):
    """``2026-11-21 20:15:01,123 INFO syncjobs.runner: message [run=12 connection=3]``"""

    def format(self, record: logging.LogRecord) -> str:
        record.about = "".join(f" {name}={value}" for name, value in getattr(record, "work", {}).items())
        record.about = f" [{record.about.strip()}]" if record.about else ""
        return super().format(record)


class JsonFormat(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, the ids of what was worked on, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "work", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
