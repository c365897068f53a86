"""Has a server of start.py run a program, and ends as the program does.

Its arguments are the server's socket, and the program's command behind the interpreter. The program
gets this process's folder, environment, standard input and outputs.
"""

import json
import os
import signal
import socket
import sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    socket.send_fds(server, [b"x"], [0, 1, 2])
    request = {"command": sys.argv[2:], "folder": os.getcwd(), "env": dict(os.environ)}
    server.sendall(json.dumps(request).encode())
    server.shutdown(socket.SHUT_WR)
    answers = server.makefile()
    pid = int(answers.readline())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    code = answers.readline()
if not code:  # a signal has ended it
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(code))
