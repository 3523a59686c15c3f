import subprocess as sp
from os import kill
out = sp.run(["ls"], timeout=5, check=True)  # sp.run("no")
kill(4711, 9)
