"""Movement: schedules, runs, cursors, intake, outbox, inbox, failed records and the API log."""
