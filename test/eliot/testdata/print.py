"""Continues the task whose id is the second argument: prints a label in two steps. With a third argument the printer fails. The id
of a hand-over out of the second step goes to standard output."""

import sys

from eliot import Action, log_message, start_action, to_file

to_file(open(sys.argv[1], "a"))
fails = len(sys.argv) > 3
try:
    with Action.continue_task(task_id=sys.argv[2]):
        with start_action(action_type="layout", pages=1):
            log_message(message_type="page", number=1)
        with start_action(action_type="print") as action:
            print(action.serialize_task_id().decode("ascii"))
            if fails:
                raise IOError("printer on fire")
            log_message(message_type="printed", copies=2)
except IOError:
    pass
