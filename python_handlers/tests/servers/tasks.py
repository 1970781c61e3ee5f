"""A Celery application with the file system as its broker: logs when it is loaded, and five numbers for each task."""

import os
import sys
from pathlib import Path

from celery import Celery
from numbered_events import connect, log_numbers

DIRECTORY = Path(os.environ["TEST_DIRECTORY"])

app = Celery("tasks", broker="filesystem://", broker_connection_retry_on_startup=True)
app.conf.broker_transport_options = {
    "data_folder_in": str(DIRECTORY / "broker"),
    "data_folder_out": str(DIRECTORY / "broker"),
    "control_folder": str(DIRECTORY / "control"),
}


@app.task
def log_five(first):
    log_numbers(first, first + 5)
    with (DIRECTORY / "done").open("a") as file:
        file.write(f"{first} {os.getpid()}\n")


if __name__ == "__main__":
    for number in range(int(sys.argv[1]), int(sys.argv[2]), 5):
        log_five.delay(number)
else:
    connect()
    log_numbers(0, 50)
