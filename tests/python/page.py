"""Runs a page of the docs: its ```sh and ```python blocks, in their order, in one folder.

    python tests/python/page.py PAGE [FOLDER]

FOLDER holds a record `lab.db` with an experiment `small`; without it, one is made by `slhf-lab run` in a temporary folder. `slhf-lab` is taken from
PATH. Blocks of Python run with the Python that runs this script. Exit status 1 at the first block that fails, with its text.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

SMALL = """kind = "game"
seeds = [1, 2]

[game]
actions = ["rock", "paper", "scissors"]
preferences = [[0.5, 0.2, 0.9], [0.8, 0.5, 0.3], [0.1, 0.7, 0.5]]
tau_leader = 0.1
tau_follower = 0.1

[method]
name = "stackelberg-gda"
steps = 20

[evaluation]
every = 5
"""


def main(page, folder=None):
    text = pathlib.Path(page).read_text()
    place = folder or tempfile.mkdtemp(prefix="slhf-page-")
    if folder is None:
        pathlib.Path(place, "small.toml").write_text(SMALL)
        subprocess.run(["slhf-lab", "run", "small.toml"], cwd=place, check=True)
    for language, block in re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.M | re.S):
        command = ["sh", "-e", "-c", block] if language == "sh" else [sys.executable, "-c", block]
        print(f"--- {language}\n{block}", flush=True)
        if subprocess.run(command, cwd=place).returncode != 0:
            sys.exit(f"this block of {page} fails:\n{block}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
