"""Keeps secrets and card-like numbers out of the logs."""

import logging

from connectors.redaction import mask_text


class MaskSecrets(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        masked = mask_text(message)
        if masked != message:
            record.msg, record.args = masked, ()
        return True
