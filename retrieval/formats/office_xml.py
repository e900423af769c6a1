"""What stands in the XML of Office files beside their text, and would end it for the libraries that read them."""

from lxml.etree import Comment, ProcessingInstruction, _Element, strip_tags


def refined(root: _Element) -> _Element:
    """Take comments and instructions out of a part; the text around them is then one."""
    strip_tags(root, Comment, ProcessingInstruction)
    return root
