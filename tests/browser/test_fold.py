"""Above a laptop's fold: at 1280 x 720 each sub-tab shows its primary button and its result."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.slow

FOLD = 640  # px of height that a browser leaves of 720
SHOWN = 200  # px of the result, at least, above it
RESULTS = {  # sub-tab -> where its result stands
    "#start": "#start .ink",
    "#classification/digits": "#digit-pad .best",
    "#classification/photos": "#photo-answer",
    "#classification/teach": "#live-teach .stage",
    "#classification/train": "#train-one .charts",
    "#detection/camera": "#live-detection .stage",
    "#detection/pictures": "#detect-boxes",
    "#detection/videos": "#detect-video-boxes",
    "#detection/compare": "#compare-gallery",
    "#segmentation/picture": "#segment-view .stage",
    "#segmentation/inside": "#inside-figure",
    "#segmentation/videos": "#segment-video-out",
    "#segmentation/camera": "#live-segmentation .stage",
    "#segmentation/compare": "#segment-compare-gallery",
    "#segmentation/scores": ".lab-table",
    "#denoising/denoise-photo": "#denoise-slider",
    "#denoising/denoise-playground": "#play-gallery",
    "#denoising/denoise-digits": "#noisy-digit figure",
    "#denoising/enhance-enlarge": "#enlarge-slider",
    "#denoising/enhance-jpeg": "#jpeg-slider",
    "#gan/gan-generate": "#gan-grid canvas",
    "#gan/gan-steer": "#gan-steer .digit-now",
    "#gan/gan-discriminator": "#gan-discriminator .seen",
    "#gan/gan-history": "#gan-history canvas",
    "#diffusion/generate": "#diffusion-player canvas",
    "#diffusion/forward": "#forward-player canvas",
    "#diffusion/inpaint": "#inpaint-player canvas",
    "#diffusion/enlarge": "#enlarge-player canvas",
    "#diffusion/samplers": "#samplers-player canvas",
    "#text-to-image/generate": ".step-player",
    "#text-to-image/strips": ".step-player",
    "#text-to-image/paint": ".step-player",
    "#text-to-image/pipelines": ".step-player",
    "#compare": "#compare-player canvas",
    "#about": ".lab-row",
}


def below(page: Page, link: str, place: str) -> list[str]:
    """What of a sub-tab a visitor has to scroll to."""
    page.evaluate("(link) => { location.hash = link; }", link)
    result = page.locator(f"{place} >> visible=true").first
    result.wait_for()
    page.wait_for_timeout(500)  # until its first line and tabs are laid out
    page.evaluate("window.scrollTo(0, 0)")
    found = []
    top = result.evaluate("e => e.getBoundingClientRect().top")
    if top > FOLD - SHOWN:
        found.append(f"{link}: its result begins at {top:.0f} px")
    for button in page.locator("#tabs button.primary >> visible=true").all():
        box = button.bounding_box()
        assert box is not None
        if box["y"] + box["height"] > FOLD:
            found.append(f"{link}: {button.inner_text()} ends at {box['y'] + box['height']:.0f} px")
    return found


@pytest.mark.parametrize("width", [1280, 1920])
def test_button_and_result_are_above_the_fold(open_page: OpenPage, width: int) -> None:
    page = open_page(width=width, height=720)
    assert set(page.evaluate("window.LAB_LINKS")) == set(RESULTS)
    found = [line for link, place in RESULTS.items() for line in below(page, link, place)]
    assert not found, "\n".join(found)
