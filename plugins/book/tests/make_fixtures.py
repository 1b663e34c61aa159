#!/usr/bin/env python3
"""Makes the fixtures of `book`: Kashtanka in every format, out of workflows/books/kashtanka.txt.

Only the standard library is used; the PDF embeds a subset of DejaVu Serif, which has to be installed (Debian: fonts-dejavu-core).
The output does not depend on when or where it is made.
"""

import struct
import sys
import zipfile
import zlib
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "../../../workflows/books/kashtanka.txt"
DATA = HERE / "data"
FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf")
TITLE, AUTHOR = "Каштанка", "Антон Павлович Чехов"


def main():
    text = SOURCE.read_text(encoding="utf-8")
    chapters = parse(text)
    DATA.mkdir(exist_ok=True)
    write("kashtanka.cp1251.txt", text.replace("\n", "\r\n").encode("cp1251"))
    write("kashtanka.koi8-r.txt", for_koi8(text).encode("koi8-r"))
    write("kashtanka.utf16le.txt", ("\ufeff" + text).encode("utf-16-le"))
    write("kashtanka.utf16be.txt", text.encode("utf-16-be"))
    book = fb2(chapters).encode("cp1251")
    write("kashtanka.fb2", book)
    write("kashtanka.fb2.zip", archive([("kashtanka.fb2", book, True)]))
    write("kashtanka.epub", epub(chapters))
    write("kashtanka.pdf", Pdf(FONT.read_bytes()).book(chapters))


def write(name, content):
    (DATA / name).write_bytes(content)
    print(f"{len(content):>8} {name}")


def parse(text):
    """[(heading, title, [paragraph])]"""
    chapters = []
    for block in text.split("\n\n")[2:]:
        lines = block.split("\n")
        if lines[0].startswith("Глава "):
            chapters.append((lines[0], lines[1], lines[2:]))
        else:
            chapters[-1][2].extend(lines)
    return chapters


def for_koi8(text):
    """KOI8-R has no dash, no ellipsis and no quotation marks but the straight ones."""
    return text.replace("—", "-").replace("…", "...").replace("«", '"').replace("»", '"')


def archive(files):
    """A ZIP file: (name, content, whether to compress)."""
    import io

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content, deflate in files:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
            archive.writestr(info, content)
    return out.getvalue()


def fb2(chapters):
    sections = "\n".join(
        f"<section><title><p>{escape(heading)}</p><p>{escape(title)}</p></title>\n"
        + "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
        + "\n</section>"
        for heading, title, paragraphs in chapters
    )
    return f"""<?xml version="1.0" encoding="windows-1251"?>
<FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0" xmlns:l="http://www.w3.org/1999/xlink">
<description><title-info><genre>prose_classic</genre>
<author><first-name>Антон</first-name><middle-name>Павлович</middle-name><last-name>Чехов</last-name></author>
<book-title>{TITLE}</book-title><annotation><p>Рассказ о собаке.</p></annotation><lang>ru</lang></title-info>
<document-info><author><nickname>potok</nickname></author></document-info></description>
<body><title><p>{AUTHOR}</p><p>{TITLE}</p></title>
{sections}
</body>
<body name="notes"><section id="n1"><title><p>1</p></title><p>Примечание, которое не относится к тексту.</p></section></body>
<binary id="cover.png" content-type="image/png">iVBORw0KGgo=</binary>
</FictionBook>
"""


def page(title, body):
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="ru">\n'
        f"<head><title>{escape(title)}</title></head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def epub(chapters):
    files = [
        ("mimetype", "application/epub+zip", False),
        (
            "META-INF/container.xml",
            '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
            True,
        ),
    ]
    names = [f"chapter-{i}.xhtml" for i in range(1, len(chapters) + 1)]
    manifest = "".join(f'<item id="c{i}" href="{name}" media-type="application/xhtml+xml"/>' for i, name in enumerate(names))
    spine = "".join(f'<itemref idref="c{i}"/>' for i in range(len(names)))
    opf = (
        '<?xml version="1.0" encoding="utf-8"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">urn:potok:kashtanka</dc:identifier>'
        f"<dc:title>{TITLE}</dc:title><dc:creator>{AUTHOR}</dc:creator><dc:language>ru-RU</dc:language>"
        '<meta property="dcterms:modified">1980-01-01T00:00:00Z</meta></metadata><manifest>'
        '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        f'<item id="title" href="title.xhtml" media-type="application/xhtml+xml"/>{manifest}</manifest>'
        f'<spine><itemref idref="title"/><itemref idref="nav"/>{spine}</spine></package>'
    )
    links = "".join(f'<li><a href="{n}">{escape(h)} {escape(t)}</a></li>' for n, (h, t, _) in zip(names, chapters))
    nav = page("Оглавление", f'<nav epub:type="toc"><h1>Оглавление</h1><ol>{links}</ol></nav>')
    title = page(TITLE, f'<section epub:type="titlepage"><h1>{TITLE}</h1><p>{AUTHOR}</p></section>')
    files += [("OEBPS/book.opf", opf, True), ("OEBPS/nav.xhtml", nav, True), ("OEBPS/title.xhtml", title, True)]
    for name, (heading, title, paragraphs) in zip(names, chapters):
        body = f"<h1>{escape(heading)}</h1>\n<h2>{escape(title)}</h2>\n" + "\n".join(f"<p>{escape(p)}</p>" for p in paragraphs)
        files.append((f"OEBPS/{name}", page(heading, body), True))
    return archive(files)


class Font:
    """What of a TrueType font is needed to measure text and to embed the glyphs that were used."""

    def __init__(self, data):
        count = struct.unpack(">H", data[4:6])[0]
        self.tables = {}
        for i in range(count):
            tag, _, offset, length = struct.unpack(">4sIII", data[12 + 16 * i : 28 + 16 * i])
            self.tables[tag.decode()] = data[offset : offset + length]
        self.units = struct.unpack(">H", self.tables["head"][18:20])[0]
        long_offsets = struct.unpack(">h", self.tables["head"][50:52])[0]
        glyphs = struct.unpack(">H", self.tables["maxp"][4:6])[0]
        if long_offsets:
            self.loca = struct.unpack(f">{glyphs + 1}I", self.tables["loca"][: 4 * (glyphs + 1)])
        else:
            self.loca = [2 * x for x in struct.unpack(f">{glyphs + 1}H", self.tables["loca"][: 2 * (glyphs + 1)])]
        self.metrics = struct.unpack(">H", self.tables["hhea"][34:36])[0]
        self.cmap = self.read_cmap()
        self.used = {0: "\ufffd"}

    def read_cmap(self):
        table = self.tables["cmap"]
        for i in range(struct.unpack(">H", table[2:4])[0]):
            platform, encoding, offset = struct.unpack(">HHI", table[4 + 8 * i : 12 + 8 * i])
            if (platform, encoding) == (3, 1):
                return self.read_segments(table[offset:])
        raise SystemExit("the font has no Unicode table")

    @staticmethod
    def read_segments(table):
        n = struct.unpack(">H", table[6:8])[0] // 2
        array = lambda at, kind: struct.unpack(f">{n}{kind}", table[at : at + 2 * n])
        ends, starts = array(14, "H"), array(16 + 2 * n, "H")
        deltas, offsets = array(16 + 4 * n, "h"), array(16 + 6 * n, "H")
        found = {}
        for i in range(n):
            for code in range(starts[i], ends[i] + 1):
                if offsets[i] == 0:
                    glyph = (code + deltas[i]) & 0xFFFF
                else:
                    at = 16 + 6 * n + 2 * i + offsets[i] + 2 * (code - starts[i])
                    glyph = struct.unpack(">H", table[at : at + 2])[0]
                    glyph = (glyph + deltas[i]) & 0xFFFF if glyph else 0
                if glyph:
                    found[code] = glyph
        return found

    def glyph(self, char):
        glyph = self.cmap[ord(char)]
        self.used[glyph] = char
        return glyph

    def width(self, glyph):
        """In thousandths of the size."""
        at = 4 * min(glyph, self.metrics - 1)
        return struct.unpack(">H", self.tables["hmtx"][at : at + 2])[0] * 1000 / self.units

    def outline(self, glyph):
        return self.tables["glyf"][self.loca[glyph] : self.loca[glyph + 1]]

    def closure(self):
        """The glyphs that were used, and those that they are composed of."""
        wanted, todo = set(), list(self.used)
        while todo:
            glyph = todo.pop()
            if glyph in wanted:
                continue
            wanted.add(glyph)
            outline = self.outline(glyph)
            if outline and struct.unpack(">h", outline[:2])[0] < 0:
                at, more = 10, True
                while more:
                    flags, part = struct.unpack(">HH", outline[at : at + 4])
                    todo.append(part)
                    at += 4 + (4 if flags & 1 else 2) + (2 if flags & 8 else 4 if flags & 0x40 else 8 if flags & 0x80 else 0)
                    more = flags & 0x20
        return wanted

    def subset(self):
        """The font with the outlines that are needed; glyphs keep their numbers."""
        wanted = self.closure()
        count = max(wanted) + 1
        glyf, loca = b"", [0]
        for glyph in range(count):
            outline = self.outline(glyph) if glyph in wanted else b""
            glyf += outline + b"\0" * (-len(outline) % 4)
            loca.append(len(glyf))
        metrics = min(self.metrics, count)
        head = self.tables["head"][:50] + struct.pack(">h", 1) + self.tables["head"][52:]
        tables = {
            "cvt ": self.tables["cvt "],
            "fpgm": self.tables["fpgm"],
            "glyf": glyf,
            "head": head,
            "hhea": self.tables["hhea"][:34] + struct.pack(">H", metrics),
            "hmtx": self.tables["hmtx"][: 4 * metrics] + b"\0\0" * (count - metrics),
            "loca": struct.pack(f">{count + 1}I", *loca),
            "maxp": self.tables["maxp"][:4] + struct.pack(">H", count) + self.tables["maxp"][6:],
            "prep": self.tables["prep"],
        }
        out = struct.pack(">IHHHH", 0x00010000, len(tables), 128, 3, 16 * len(tables) - 128)
        offset = 12 + 16 * len(tables)
        body = b""
        for tag, table in tables.items():
            padded = table + b"\0" * (-len(table) % 4)
            checksum = sum(struct.unpack(f">{len(padded) // 4}I", padded)) & 0xFFFFFFFF
            out += struct.pack(">4sIII", tag.encode(), checksum, offset + len(body), len(table))
            body += padded
        return out + body


class Pdf:
    """Sets a book in justified lines, the way that text programs do."""

    WIDTH, HEIGHT, MARGIN = 420, 595, 50
    SIZE, LEADING, INDENT = 10, 13, 18

    def __init__(self, font):
        self.font = Font(font)
        self.pages, self.content = [], []
        self.y = 0

    def book(self, chapters):
        self.start_page()
        self.y -= 150
        self.centred(TITLE, 24)
        self.centred(AUTHOR, 14)
        for heading, title, paragraphs in chapters:
            self.start_page()
            self.centred(heading, 14)
            self.centred(title, 14)
            self.y -= 10
            for paragraph in paragraphs:
                self.paragraph(paragraph)
        self.end_page()
        return self.file()

    def start_page(self):
        self.end_page()
        self.content, self.y = [], self.HEIGHT - self.MARGIN

    def end_page(self):
        if self.content:
            number = str(len(self.pages) + 1)
            self.show(number, (self.WIDTH - self.measure(number, 8)) / 2, 25, 8)
            self.pages.append("\n".join(self.content))

    def measure(self, text, size):
        return sum(self.font.width(self.font.glyph(c)) for c in text) * size / 1000

    def show(self, text, x, y, size, stretch=0.0):
        """`stretch` is what every space is wider, in points: a number in the array, as justified text has it."""
        parts = []
        for i, word in enumerate(text.split(" ")):
            if i:
                parts.append(f"<{self.font.glyph(' '):04x}>")
                if stretch:
                    parts.append(f"{-stretch * 1000 / size:.0f}")
            parts.append("<" + "".join(f"{self.font.glyph(c):04x}" for c in word) + ">")
        self.content.append(f"BT /F1 {size} Tf 1 0 0 1 {x:.2f} {y:.2f} Tm [{''.join(parts)}] TJ ET")

    def centred(self, text, size):
        self.show(text, (self.WIDTH - self.measure(text, size)) / 2, self.y, size)
        self.y -= size * 1.6

    def paragraph(self, text):
        room = self.WIDTH - 2 * self.MARGIN
        lines, line, indent = [], [], self.INDENT
        for word in text.split(" "):
            if line and self.measure(" ".join(line + [word]), self.SIZE) > room - indent:
                lines.append((line, indent))
                line, indent = [], 0
            line.append(word)
        lines.append((line, indent))
        for i, (words, indent) in enumerate(lines):
            if self.y < self.MARGIN:
                self.start_page()
            text = " ".join(words)
            last = i == len(lines) - 1
            spare = 0 if last or len(words) < 2 else (room - indent - self.measure(text, self.SIZE)) / (len(words) - 1)
            self.show(text, self.MARGIN + indent, self.y, self.SIZE, spare)
            self.y -= self.LEADING

    def file(self):
        objects = ["<< /Type /Catalog /Pages 2 0 R /Lang (ru) >>"]
        first = 9
        kids = " ".join(f"{first + 2 * i} 0 R" for i in range(len(self.pages)))
        objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(self.pages)} >>")
        objects.append(f"<< /Title {self.hex(TITLE)} /Author {self.hex(AUTHOR)} >>")
        objects.append(
            "<< /Type /Font /Subtype /Type0 /BaseFont /AAAAAA+DejaVuSerif /Encoding /Identity-H"
            " /DescendantFonts [5 0 R] /ToUnicode 8 0 R >>"
        )
        glyphs = sorted(self.font.used)
        widths = " ".join(f"{g} [{self.font.width(g):.0f}]" for g in glyphs)
        objects.append(
            "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /AAAAAA+DejaVuSerif /CIDToGIDMap /Identity /FontDescriptor 6 0 R"
            f" /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /DW 600 /W [{widths}] >>"
        )
        objects.append(
            "<< /Type /FontDescriptor /FontName /AAAAAA+DejaVuSerif /Flags 4 /FontBBox [-770 -347 2105 1109] /ItalicAngle 0"
            " /Ascent 939 /Descent -236 /CapHeight 729 /StemV 80 /FontFile2 7 0 R >>"
        )
        font = self.font.subset()
        objects.append(self.stream(font, f"/Length1 {len(font)}"))
        objects.append(self.stream(self.to_unicode(glyphs)))
        for i, content in enumerate(self.pages):
            objects.append(
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {self.WIDTH} {self.HEIGHT}] /Contents {first + 2 * i + 1} 0 R"
                " /Resources << /Font << /F1 4 0 R >> >> >>"
            )
            objects.append(self.stream(content.encode()))
        out, offsets = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", []
        for i, body in enumerate(objects, 1):
            offsets.append(len(out))
            out += f"{i} 0 obj\n".encode() + (body if isinstance(body, bytes) else body.encode()) + b"\nendobj\n"
        table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
        count = len(objects) + 1
        return out + (
            f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root 1 0 R /Info 3 0 R >>\n"
            f"startxref\n{len(out)}\n%%EOF\n"
        ).encode()

    @staticmethod
    def hex(text):
        return f"<feff{text.encode('utf-16-be').hex()}>"

    @staticmethod
    def stream(content, more=""):
        packed = zlib.compress(content, 9)
        return f"<< /Length {len(packed)} /Filter /FlateDecode {more} >>\nstream\n".encode() + packed + b"\nendstream"

    def to_unicode(self, glyphs):
        lines = [f"<{g:04x}> <{self.font.used[g].encode('utf-16-be').hex()}>" for g in glyphs]
        blocks = [lines[i : i + 100] for i in range(0, len(lines), 100)]
        body = "\n".join(f"{len(b)} beginbfchar\n" + "\n".join(b) + "\nendbfchar" for b in blocks)
        return (
            "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Adobe-Identity-UCS def /CMapType 2 def\n"
            f"1 begincodespacerange\n<0000> <ffff>\nendcodespacerange\n{body}\n"
            "endcmap CMapName currentdict /CMap defineresource pop end end\n"
        ).encode()


if __name__ == "__main__":
    sys.exit(main())
