"""Fusion: the mask by another route, windows against the whole picture, all kinds of pictures."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from data.pictures.read import load_image
from infer.detect import Detection, confirmed
from infer.face_scores import halo, seam
from infer.fusion import Fusion, Specialist
from infer.fusion_masks import MaskOptions
from infer.upscaler import Upscaler, upscale
from model.edsr import edsr
from model.esrgan import rrdb_net
from weights.load import load_model

GENERAL, FACE = edsr(2, 5, 1), edsr(2, 4, 2)
HEIGHT, WIDTH = 61, 83
FACES = {
    "one": [Detection(50, 40, 20, 30)],
    "none": [],
    "two, overlapping": [Detection(50, 40, 20, 30), Detection(60, 50, 30, 20)],
    "two, apart": [Detection(10, 10, 20, 20), Detection(120, 80, 20, 30)],
    "cut by two borders": [Detection(-7, -9, 37, 49)],
    "cut by the other borders": [Detection(140, 100, 40, 40)],
    "larger than the picture": [Detection(-20, -30, 300, 400)],
}


def picture(*channels, dtype=np.uint8):
    top = np.iinfo(dtype).max if dtype != np.float32 else 255
    values = np.random.default_rng(5).uniform(0, top, (HEIGHT, WIDTH, *channels))
    return values.astype(dtype)


def fusion(boxes, options=None, face=FACE):
    options = options or MaskOptions(least_px=5)
    return Fusion(Upscaler(GENERAL), [Specialist(Upscaler(face), lambda _: boxes)], options)


def expected_mask(boxes, padding=0.3, softness=0.1):
    """The blurred masks as SciPy makes them on the whole picture, and their union."""
    outside = np.ones((2 * HEIGHT, 2 * WIDTH))
    for box in boxes:
        left, top = max(0, box.left), max(0, box.top)
        right = min(2 * WIDTH, box.left + box.width)
        bottom = min(2 * HEIGHT, box.top + box.height)
        width, height = right - left, bottom - top
        y = slice(max(0, int(top - padding * height)), int(np.ceil(bottom + padding * height)))
        x = slice(max(0, int(left - padding * width)), int(np.ceil(right + padding * width)))
        mask = np.zeros_like(outside)
        mask[y, x] = 1
        sigmas = softness * height, softness * width
        radii = [int(3 * sigma) for sigma in sigmas]
        outside *= 1 - gaussian_filter(mask, sigmas, mode="nearest", radius=radii)
    return 1 - outside


@pytest.mark.parametrize("boxes", FACES.values(), ids=FACES)
def test_equals_the_formula_on_whole_pictures(boxes):
    image = picture(3, dtype=np.float32)
    fuse = fusion(boxes)
    made = fuse(image)
    fused = made.pixels
    mask = expected_mask(boxes)
    np.testing.assert_allclose(made.mask, mask, atol=1e-6)
    general, face = upscale(GENERAL, image), upscale(FACE, image)
    expected = mask[..., None] * face + (1 - mask[..., None]) * general
    np.testing.assert_allclose(fused, expected, atol=2e-3)
    np.testing.assert_array_equal(fused[made.mask == 0], general[made.mask == 0])


def test_without_a_face_and_outside_the_mask_it_is_the_general_result():
    image = picture(3)
    general = upscale(GENERAL, image)
    made = fusion([])(image)
    np.testing.assert_array_equal(made.pixels, general)
    assert made.found == [] and not made.mask.any()
    fuse = fusion(FACES["one"])
    made = fuse(image)
    fused = made.pixels
    np.testing.assert_array_equal(fused[made.mask == 0], general[made.mask == 0])
    assert (fused != general).any()


def test_the_found_box_is_all_the_specialists():
    image, box = picture(3), FACES["one"][0]
    fuse = fusion([box])
    made = fuse(image)
    fused = made.pixels
    there = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    assert (made.mask[there] == 1).all()
    difference = fused[there].astype(int) - upscale(FACE, image)[there]
    assert np.abs(difference).max() <= 1


def test_softness_follows_width_and_height_separately():
    fuse = fusion([Detection(40, 40, 20, 50)])
    made = fuse(picture(3))
    rows, columns = made.mask[:, 50], made.mask[65]
    assert np.count_nonzero((rows > 0) & (rows < 1)) == 2 * 30
    assert np.count_nonzero((columns > 0) & (columns < 1)) == 2 * 12


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
def test_any_kind_of_picture(dtype, channels):
    image = picture(*channels, dtype=dtype)
    fuse = fusion(FACES["one"])
    made = fuse(image)
    fused = made.pixels
    general, face = upscale(GENERAL, image), upscale(FACE, image)
    assert (fused.shape, fused.dtype) == (general.shape, general.dtype)
    mask = made.mask if image.ndim == 2 else made.mask[..., None]
    expected = mask * face.astype(float) + (1 - mask) * general.astype(float)
    if channels in ((2,), (4,)):
        expected[..., -1] = general[..., -1]
        np.testing.assert_array_equal(fused[..., -1], general[..., -1])
    tolerance = 1 if dtype != np.uint16 else 257 * 2e-3 + 1
    np.testing.assert_allclose(fused.astype(float), expected, atol=tolerance)


@pytest.mark.parametrize("boxes", [FACES["one"], FACES["larger than the picture"]])
def test_a_face_larger_than_the_tile(boxes):
    image = picture(3, dtype=np.float32)
    np.testing.assert_allclose(
        fusion(boxes)(image, tile=8).pixels, fusion(boxes)(image).pixels, atol=2e-3
    )


def test_networks_with_size_rules():
    """Scale 2 of RRDBNet takes even sizes; windows keep to its grid."""
    face = rrdb_net(2, 4, 1, 2)
    image = picture(3, dtype=np.float32)
    fuse = fusion([Detection(72, 52, 11, 13)], face=face)
    made = fuse(image)
    fused = made.pixels
    mask = made.mask[..., None]
    expected = mask * upscale(face, image) + (1 - mask) * upscale(GENERAL, image)
    np.testing.assert_allclose(fused, expected, atol=5e-3)


def test_writes_to_a_given_array():
    image = picture(3)
    fuse = fusion(FACES["one"])
    out = np.empty((2 * HEIGHT, 2 * WIDTH, 3), np.uint8)
    assert fuse(image, out=out).pixels is out
    np.testing.assert_array_equal(out, fusion(FACES["one"])(image).pixels)


def test_several_specialists_later_ones_on_top():
    image = picture(3)
    third = edsr(2, 3, 1)
    pairs = [
        Specialist(Upscaler(FACE), lambda _: [Detection(20, 20, 40, 40)]),
        Specialist(
            Upscaler(third), lambda _: [Detection(30, 30, 20, 20), Detection(120, 70, 20, 30)]
        ),
    ]
    fuse = Fusion(Upscaler(GENERAL), pairs, MaskOptions(least_px=5))
    made = fuse(image)
    fused = made.pixels
    assert len(made.found) == 3
    for y, x, owner in ((40, 40, third), (80, 130, third), (59, 59, FACE), (3, 160, GENERAL)):
        assert np.abs(fused[y, x].astype(int) - upscale(owner, image)[y, x]).max() <= 1


def test_chosen_faces():
    image = picture(3)
    boxes = FACES["two, apart"]
    second = fusion(boxes, MaskOptions(least_px=5, chosen=(1,)))(image)
    np.testing.assert_array_equal(second.pixels, fusion(boxes[1:])(image).pixels)
    assert len(second.found) == 2
    with pytest.raises(ValueError, match="there is no face 2; found were 0 to 1"):
        fusion(boxes, MaskOptions(least_px=5, chosen=(0, 2)))(image)
    with pytest.raises(ValueError, match="there is no face 0; found were none"):
        fusion([], MaskOptions(chosen=(0,)))(image)


def test_unlikely_and_small_finds_change_nothing():
    image = picture(3)
    boxes = [Detection(20, 20, 40, 40, 0.5), Detection(20, 20, 8, 9, 0.99)]
    made = fusion(boxes, MaskOptions())(image)
    np.testing.assert_array_equal(made.pixels, upscale(GENERAL, image))
    assert made.found == []


class Offset:
    """Runs like an upscaler and answers its picture, with a constant colour added."""

    def __init__(self, network, colour):
        self._network, self.reach = network, network.reach
        self._colour = np.array(colour, np.float32)

    def __call__(self, image, **options):
        return self._network(image, **options) + self._colour


@pytest.mark.parametrize(("height", "width"), [(200, 300), (3000, 4000)])
def test_confirmed_finds_are_there_in_another_size_too(height, width):
    """Of three finds one is found again at its place, with less confidence."""
    looked_at = []

    def detect(searched):
        looked_at.append(searched.shape)
        factor = searched.shape[1] / width
        left, top, *sides = (factor * n for n in (70, 30, 50, 60))
        if len(looked_at) == 1:
            return [
                Detection(20, 10, 30, 30, 0.97),
                Detection(left, top, *sides, 0.98),
                Detection(140, 90, 40, 40),
            ]
        return [
            Detection(left, top, *sides, 0.93),
            Detection(factor * 160, factor * 110, 40, 40, 0.99),
        ]

    (box,) = confirmed(detect)(np.zeros((height, width, 3), np.uint8))
    assert box == Detection(70, 30, 50, 60, 0.93)
    assert looked_at[1][0] / looked_at[0][0] == pytest.approx(1.15 if height < 1000 else 0.8, 0.01)


def test_nothing_found_is_not_looked_at_twice():
    looks = []
    assert confirmed(lambda searched: looks.append(1) or [])(np.zeros((9, 9, 3), np.uint8)) == []
    assert len(looks) == 1


def test_match_colour_takes_the_colour_from_the_general_result():
    image = 100 + picture(3, dtype=np.float32) / 5
    box, general = FACES["one"][0], upscale(GENERAL, image)
    patch = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    specialist = Specialist(Offset(Upscaler(GENERAL), [9, 0, 0]), lambda _: [box])
    for match_colour, reddening in ((False, 9), (True, 0)):
        options = MaskOptions(least_px=5, match_colour=match_colour)
        fused = Fusion(Upscaler(GENERAL), [specialist], options)(image).pixels
        difference = (fused - general)[patch].mean((0, 1))
        np.testing.assert_allclose(difference, [reddening, 0, 0], atol=0.1)


def test_refuses_networks_of_different_scales():
    message = "both networks must have one scale, got ×2 .general. and ×3 .face."
    with pytest.raises(ValueError, match=message):
        fusion([], face=edsr(3, 4, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"least_confidence": 1.5}, "least_confidence must be in 0..1, got 1.5"),
        ({"least_px": -1}, "least_px must not be negative, got -1"),
        ({"padding": -0.1}, "padding must not be negative, got -0.1"),
        ({"softness": -0.1}, "softness must not be negative, got -0.1"),
    ],
)
def test_refuses_options_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        MaskOptions(**arguments)


@pytest.mark.parametrize(("step", "expected"), [(0, 1), (4, (5**2 + 5**2 + 4 * 3**2) / 6 / 3**2)])
def test_seam_is_gradient_energy_on_the_edge_over_that_around_it(step, expected):
    """A ramp, with a step of some grey levels in the one channel where it is not flat."""
    mask = np.clip((np.arange(40) - 17) / 5, 0, 1) * np.ones((30, 1))  # changes on 6 px
    ramp = np.zeros((30, 40, 3))
    ramp[..., 1] = 3.0 * np.arange(40) + step * (np.arange(40) > 18)
    assert seam(ramp, mask) == pytest.approx(expected)


def test_seam_of_a_hard_edge_is_measured_on_the_pixels_beside_it():
    mask = np.zeros((31, 41))
    mask[10:20, 15:30] = 1
    noise = np.random.default_rng(2).normal(0, 1, (31, 41, 3))
    assert 0.5 < seam(noise, mask) < 2
    assert seam(noise + 20 * mask[..., None], mask) > 20


def test_seam_refuses_a_mask_without_edge_or_outside():
    for mask in (np.zeros((9, 9)), np.ones((9, 9)), np.linspace(0.1, 1, 81).reshape(9, 9)):
        with pytest.raises(ValueError, match="needs a mask with an edge, and pixels outside"):
            seam(np.zeros((9, 9, 3)), mask)


@pytest.fixture(scope="module")
def bundled():
    return Upscaler(load_model("wdsr-b-32-x4"))


@pytest.mark.parametrize("side", [40, 90])
def test_no_seam_at_the_edge_of_small_and_large_faces(shared, bundled, side):
    """Where networks differ by 12 grey levels, the soft edge is not seen; a hard one would be."""
    photograph = load_image(shared / "data" / "faces" / "2008_001009.jpg")
    image = photograph[100:220, 100:250].astype(np.float32)
    box = Detection(150, 100, side, 0.8 * side)
    specialist = Specialist(Offset(bundled, [12, 12, 12]), lambda _: [box])
    soft, hard = (
        Fusion(bundled, [specialist], MaskOptions(least_px=5, softness=s)) for s in (0.1, 0)
    )
    plain = bundled(image)
    for fuse, low, high in ((soft, 0.9, 1.1), (hard, 1.3, np.inf)):
        made = fuse(image)
        fused = made.pixels
        assert low < seam(fused, made.mask) / seam(plain, made.mask) < high


@pytest.mark.parametrize(("offset", "low", "high"), [((0, 0, 0), 0, 0.1), ((24, -8, -8), 5, 20)])
def test_halo_is_the_difference_of_colour_that_an_eye_sees(offset, low, high):
    """A red halo that a soft mask spreads, which `seam` scores as none."""
    general = np.full((90, 90, 3), 120.0)
    general += np.random.default_rng(1).normal(0, 9, general.shape)
    mask = np.clip((np.hypot(*(np.mgrid[:90, :90] - 45)) - 40) / -25, 0, 1)
    fused = general + mask[..., None] * offset
    assert low <= halo(fused, general, mask) <= high
    assert 0.9 < seam(fused, mask) / seam(general, mask) < 1.1
    assert halo(fused, general, np.zeros((90, 90))) == 0


def test_a_judge_has_gentler_networks_taken_until_it_is_content():
    image, box = picture(3), FACES["one"][0]
    seen = []

    def judge(small, large):
        assert small.shape == (15, 10, 3) and large.shape == (30, 20, 3)
        seen.append(large)
        return [0.5, 0.8, 0.9][len(seen) - 1]

    gentler = (Upscaler(edsr(2, 3, 1)), Upscaler(GENERAL))
    for least, taken, reached in ((0.4, 0, True), (0.7, 1, True), (0.99, 2, False)):
        seen.clear()
        specialist = Specialist(
            Upscaler(FACE), lambda _: [box], judge=judge, least=least, gentler=gentler
        )
        made = Fusion(Upscaler(GENERAL), [specialist], MaskOptions(least_px=5))(image)
        assert made.judged == {0: ([0.5, 0.8, 0.9][taken], taken, reached)}
        expected = fusion([box], face=[FACE, None, GENERAL][taken]) if taken != 1 else None
        if expected:
            np.testing.assert_array_equal(made.pixels, expected(image).pixels)
        np.testing.assert_array_equal(seen[-1], made.pixels[40:70, 50:70])
