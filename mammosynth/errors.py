"""The one kind of error that its reader can mend."""


class InputError(ValueError):
    """Bad data, configuration or environment.

    The message is one sentence that names the file, key or row and says how to mend it; jobs print it without a
    traceback.
    """
