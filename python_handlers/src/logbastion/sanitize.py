"""``sanitize_log_input``: makes what users have written harmless before it is put into a log message by hand."""

from __future__ import annotations

import html
import re
from typing import Final

MAX_LENGTH: Final = 1000
"""Characters of the result (guide, "Input Sanitization for Logs")."""
_MARK: Final = "..."

# C0 and C1 with DEL; line and paragraph separators; directions, zero width, joiners, byte order mark, invisible
# operators, variation and tag characters (Unicode: Default_Ignorable_Code_Point, Bidi_Control); lone surrogates.
_INVISIBLE: Final = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f"
    "\\u3164\\ud800-\\udfff\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\uffff\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff]"
)


def without_controls(text: str) -> str:
    """Return a text without characters that nobody sees or that steer what shows it."""
    return _INVISIBLE.sub("", text)


def sanitize_log_input(user_input: object) -> str:
    """Return user input as one harmless line of at most 1000 characters (guide, "Log Injection Prevention").

    Control, invisible and direction-changing characters are taken out, then it is cut to 997 characters and ``...`` if
    it is longer, then ``& < > " '`` are escaped for HTML. It is cut before it is escaped, and shorter if the escaping
    makes it longer, so an entity is never cut in two.

    Everything that is written by :class:`logbastion.EventFormatter` is safe without it: this is for texts that other
    programs show.

    Args:
        user_input: anything; what is no text is turned into one. It never raises.

    """
    if not isinstance(user_input, str):
        try:
            user_input = str(user_input)
        except Exception as error:  # anything may come out of a foreign __str__
            user_input = f"<{type(user_input).__name__} whose text raised {type(error).__name__}>"
    # Four times the length is enough to be left with a thousand unless most of it is invisible, which may be cut.
    plain = without_controls(user_input[: 64 * MAX_LENGTH])
    escaped = html.escape(plain[: MAX_LENGTH + 1])
    if len(escaped) <= MAX_LENGTH and len(plain) <= MAX_LENGTH:
        return escaped
    pieces: list[str] = []
    room = MAX_LENGTH - len(_MARK)
    for character in plain:
        piece = html.escape(character)
        room -= len(piece)
        if room < 0:
            break
        pieces.append(piece)
    return "".join(pieces) + _MARK
