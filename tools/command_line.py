"""What the scripts here have in common: their help, and arguments that are tried before anything is built or measured.

SPDX-License-Identifier: MIT
"""

import argparse
import os
import subprocess


def parser_of(doc):
    """Its help is the script's own text, and an error is one line."""
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS)
    parser.format_help = lambda: doc.split("\n\nSPDX")[0] + "\n"
    return parser


def preloaded(text):
    """The name and the file of NAME=FILE. The loader goes on without what it cannot preload, so that is tried first."""
    name, _, file = text.partition("=")
    path = os.path.abspath(file)
    if not name or not os.path.isfile(path):
        raise argparse.ArgumentTypeError(f"wants NAME=FILE with a file that there is, not \"{text}\"")
    tried = subprocess.run(["true"], env=dict(os.environ, LD_PRELOAD=path), capture_output=True, check=False)
    if tried.returncode != 0 or b"cannot be preloaded" in tried.stderr:
        raise argparse.ArgumentTypeError(f"the loader cannot preload \"{file}\"")
    return name, path


def writable(path):
    """This path, if the file can be written, which is left as it is until there are results."""
    try:
        open(path, "ab").close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write \"{path}\": {error.strerror}") from error
    return path
