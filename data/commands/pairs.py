"""What `div2k` and `folder` do with the pairs they find."""

from data.commands.options import check_free, save_sheet


def decode(make_source, options):
    """Decode pairs and draw some of them, if asked to; returns whether all could be read."""
    if options.sheet:
        check_free(options.sheet, options.overwrite)
    pairs = make_source().pairs
    print(f"{len(pairs)} pairs at scale {options.scale} in {options.caches_dir}")
    if options.sheet:
        from data.pairs import contact_sheet

        crop_px = max(options.hr_crop_px // options.scale, 1) * options.scale
        save_sheet(contact_sheet(pairs, hr_crop_px=crop_px), options.sheet)
        print(f"wrote {options.sheet}")
    return not pairs.left_out
