"""What comes from outside: the values of options, and records that may be damaged."""
import argparse
import contextlib
import json
import re


class Damaged(Exception):
    """A record is not as it should be: the text names it and says what is wrong."""


@contextlib.contextmanager
def reading(name):
    """For code that reads the record of this name: whatever is wrong with it is Damaged."""
    try:
        yield
    except OSError as error:
        raise Damaged(f"{name}: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise Damaged(f"{name}: no JSON, or not all of it: {error}") from error
    except KeyError as error:
        raise Damaged(f"{name}: there is no {error}") from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise Damaged(f"{name}: not as it should be: {error}") from error


def picked(name, record, *keys):
    """What a record of this name has at these keys, one below the other."""
    with reading(name):
        for key in keys:
            record = record[key]
    return record


def whole(least, most):
    """The type of an option of argparse, which names the option when it is refused."""
    def parsed(text):
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text}: not a whole number from {least:,} to {most:,}")
        return value

    return parsed


def seconds(most):
    """As whole(); above 0. A program that is told to measure for nan or inf does not end."""
    def parsed(text):
        try:
            value = float(text)
        except ValueError:
            value = 0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"{text}: not a number of seconds above 0, {most:,} at most")
        return value

    return parsed


def regex(text):
    """The type of an option, as it was written."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{text}: no regular expression: {error}") from error
    return text
