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


def library(file):
    """The file's path. The loader goes on without what it cannot preload, so that is tried first."""
    path = os.path.abspath(file)
    if not os.path.isfile(path):
        raise argparse.ArgumentTypeError(f"there is no file \"{file}\"")
    tried = subprocess.run(["true"], env=dict(os.environ, LD_PRELOAD=path), capture_output=True, check=False)
    if tried.returncode != 0 or b"cannot be preloaded" in tried.stderr:
        raise argparse.ArgumentTypeError(f"the loader cannot preload \"{file}\"")
    return path


def named_library(text):
    """The name and the path of NAME=FILE."""
    name, _, file = text.partition("=")
    if not name or not file:
        raise argparse.ArgumentTypeError(f"wants NAME=FILE, not \"{text}\"")
    return name, library(file)


def writable(path):
    """This path, if the file can be written, which is left as it is until there are results."""
    is_new = not os.path.exists(path)
    try:
        open(path, "ab").close()
        if is_new:
            os.remove(path)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write \"{path}\": {error.strerror}") from error
    return path
