"""XML of others: no entities, bounded in size, depth and number of elements."""

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from synthograph.core.errors import UserError

MAX_XML_BYTES = 128 << 20
MAX_ELEMENTS = 4_000_000
MAX_DEPTH = 64


def parse_xml(data: bytes, origin: str) -> Element:
    """The root element of an XML text.

    Args:
        data: the whole file.
        origin: its name, for messages.

    Raises:
        UserError: no XML, larger or deeper than the limits, or with a document type, which is what
            entities, and so texts that grow without end, are declared in.
    """
    if len(data) > MAX_XML_BYTES:
        raise UserError(f"{origin}: is larger than {MAX_XML_BYTES >> 20} MiB")
    builder, parser, open_elements, seen = TreeBuilder(), expat.ParserCreate(), 0, 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal open_elements, seen
        open_elements, seen = open_elements + 1, seen + 1
        if open_elements > MAX_DEPTH or seen > MAX_ELEMENTS:
            raise UserError(
                f"{origin}: XML is nested more than {MAX_DEPTH} levels deep, or has more than "
                f"{MAX_ELEMENTS} elements"
            )
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal open_elements
        open_elements -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise UserError(f"{origin}: declares a document type; XML with one is not read")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except UserError:  # of the handlers above; one is a ValueError, too
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise UserError(f"{origin}: not valid XML: {str(error)[:100]}") from None
    return builder.close()
