"""Writes a log of so many messages (second argument): all in one task, or in requests of 18 messages in 5 actions."""

import sys

from eliot import log_message, start_action, start_task, to_file

path, messages, shape = sys.argv[1], int(sys.argv[2]), sys.argv[3]
to_file(open(path, "w"))
if shape == "one-task":
    with start_task(action_type="import", source="orders.csv"):
        for i in range(messages - 2):
            log_message(message_type="row", number=i, text="nothing in particular")
for i in range(messages // 18 if shape == "requests" else 0):
    with start_task(action_type="request", url="/orders", number=i):
        for step in range(4):
            with start_action(action_type="step", number=step):
                log_message(message_type="said", text="nothing in particular")
                log_message(message_type="said", text="nothing in particular", x=i)
