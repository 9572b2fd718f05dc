"""Starts a task of its own, has a Go program (the command in the further arguments) do a part of it with the task handed over in
DLOG_TASK, and continues in this process what that program hands back."""

import os
import subprocess
import sys

from eliot import Action, start_action, start_task, to_file

to_file(open(sys.argv[1], "a"))
with start_task(action_type="backup", host="db-1") as task:
    with start_action(action_type="dump") as action:
        env = dict(os.environ, DLOG_TASK=action.serialize_task_id().decode("ascii"))
        back = subprocess.run(sys.argv[2:], env=env, check=True, stdout=subprocess.PIPE).stdout.decode("ascii").strip()
    with Action.continue_task(task_id=back):
        with start_action(action_type="verify", rows=17):
            pass
print(task.task_uuid)
