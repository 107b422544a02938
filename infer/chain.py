"""Networks one after another, ready for the same pictures as one: restore first, then enlarge."""


class Chain:
    """Two networks made ready, of which the second takes what the first makes.

    Args:
        first: `infer.upscaler.Upscaler` of a network that does not enlarge.
        second: Another one, of any scale; or `infer.sizes.Sized`.

    Raises:
        ValueError: The first one enlarges.
    """

    def __init__(self, first, second):
        if first.reach.scale != 1:
            raise ValueError(f"the first network must not enlarge, got ×{first.reach.scale}")
        self._first, self._second = first, second

    def remark(self, shape):
        """What there is to say of a picture of this shape; see `infer.sizes.Sized.remark`."""
        return self._second.remark(shape) if hasattr(self._second, "remark") else None

    def __call__(self, image, *, tile=None, overlap_px=None, out=None, report=None):
        """Run both; arguments and result as of `infer.upscaler.Upscaler`."""
        half = report and (lambda pixels: report(pixels / 2))
        options = {"tile": tile, "overlap_px": overlap_px, "report": half}
        return self._second(self._first(image, **options), out=out, **options)
