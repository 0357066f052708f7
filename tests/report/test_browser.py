"""The page in headless Chromium, at the widths of a phone and of a desk, light and dark."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from synthograph.report.write import write_report
from tests.report import material
from tests.report.browser import CHROMIUM, DRIVER, Browser, browser

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="needs the Debian packages chromium and chromium-driver",
)
EVIL = "<script>document.title = 'run'</script><img src=x onerror=\"document.title='run'\">"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    run = material.run_directory(folder, classes=(EVIL, "b"))
    (run / "log.txt").write_text(f"synthograph train {EVIL}\n{EVIL}\n")
    by_class = [*material.entries(level=EVIL), *material.entries()]
    shares = [material.share(EVIL, 10, 20)]
    numbers = material.write(folder / "n.json", material.evaluation(by_class, shares=shares))
    content = material.gap(9)
    content["map"]["label"] = [EVIL] * 9
    gap = material.write(folder / "gap" / "domain-gap.json", content)
    (gap.parent / "sprite.png").write_bytes(material.png(24, 24))
    audit = material.write(folder / "audit" / "audit.json", material.audit())
    (audit.parent / "pairs.png").write_bytes(material.png(1600, 100))
    table = material.write(folder / "t.json", material.sensitivity())
    paths = [run, numbers, gap, audit, table]
    return write_report(paths, folder / "report.html", title=f"t {EVIL}").page


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as found:
        yield found


def unfold(window: Browser) -> None:
    """Open what is folded."""
    window.run("document.querySelectorAll('section > details').forEach(e => { e.open = true })")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, False)])
def test_layout(window: Browser, page: Path, width: int, *, dark: bool) -> None:
    window.look(width, 900, dark=dark)
    window.open(page)
    assert window.run("return document.querySelectorAll('main h2').length") > 9
    unfold(window)
    assert window.complaints() == []
    assert window.run("return document.title").startswith("t <script>")  # nothing changed it
    assert window.run("return document.documentElement.scrollWidth") <= width
    shown = Image.open(io.BytesIO(window.screenshot())).convert("L")
    assert shown.width == width
    corner = shown.getpixel((2, 2))
    assert (corner < 60) if dark else (corner > 220)
    small = window.run(
        "return [...document.querySelectorAll('main p, main td, main li')].filter("
        "e => e.offsetParent && parseFloat(getComputedStyle(e).fontSize) < 12).length"
    )
    assert small == 0


def test_slider_shows_one_picture_of_a_snapshot(window: Browser, page: Path) -> None:
    window.look(1280, 900)
    window.open(page)
    unfold(window)
    shown = "return [...document.querySelectorAll('.film img')].filter(e => e.offsetParent)"
    assert window.run(f"{shown}.map(e => e.dataset.at)") == ["4"]
    window.run(
        "const slider = document.querySelector('.film input'); slider.value = 1;"
        "slider.dispatchEvent(new Event('input'))"
    )
    assert window.run(f"{shown}.map(e => e.dataset.at)") == ["2"]
    assert window.run("return document.querySelector('.film b').textContent") == "2"
    assert window.complaints() == []


def test_map_shows_the_image_of_a_place(window: Browser, page: Path) -> None:
    window.look(1280, 900)
    window.open(page)
    unfold(window)
    over = "new PointerEvent('pointerover', {bubbles: true})"
    window.run(f"document.querySelector('use[data-i=\"4\"]').dispatchEvent({over})")
    style = "return document.getElementById('thumb').style"
    assert not window.run("return document.getElementById('thumb').hidden")
    assert window.run(f"{style}.backgroundImage").startswith('url("data:image/')
    assert window.run(f"{style}.backgroundPosition") == "-32px -32px"  # row 1, column 1, 4 times
    leave = "new PointerEvent('pointerleave')"
    window.run(f"document.querySelector('.map').dispatchEvent({leave})")
    assert window.run("return document.getElementById('thumb').hidden")
    assert window.complaints() == []
