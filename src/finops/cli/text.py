"""Text that came from elsewhere, made safe to print."""


def visible(text: str) -> str:
    """Show control characters instead of obeying them; bills hold other people's text."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
