"""Text without what no reader sees: zero-width characters, direction marks, tags, controls. It knows no format."""

import re
import unicodedata

# Characters that a reader never sees, but a model would: zero-width ones, direction marks, blank letters, selectors of
# a glyph's variant, tags (U+E0000 and on). A selector that makes a sign an emoji, or none, stays. The two joiners go
# unless they stand alone between letters beyond Latin, whose shape they change.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    "|(?<![#*0-9\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f]"
    "|(?<![\u0250-\u1fff\u2c00-\U0001ffff])[\u200c\u200d]+"
    "|[\u200c\u200d]+(?![\u0250-\u1fff\u2c00-\U0001ffff])"
)
# Lone surrogates are halves of characters: JSON and old mail can carry them, UTF-8 cannot.
_CONTROLS = re.compile("[\0-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_END = re.compile("\r\n?|[\f\v\x85\u2028\u2029]")


def clean(text: str) -> tuple[str, int]:
    """Normalise line ends and composed characters, and strip what no reader sees; say how much that was."""
    text = _LINE_END.sub("\n", text)
    seen = _CONTROLS.sub("", _UNSEEN.sub("", text))
    return unicodedata.normalize("NFC", seen), len(text) - len(seen)


def one_line(text: str) -> str:
    """The text with every run of blanks as one."""
    return " ".join(text.split())
