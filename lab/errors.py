"""The one error of the lab: a sentence that says what is wrong and what to do."""


class LabError(Exception):
    """Raised with a sentence for a person; ``python -m lab`` prints it and exits with 1."""
