"""Write PyTorch files without PyTorch, good ones and bad ones, for tests."""

import zipfile

import numpy as np

ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
_STORAGES = {"f8": "Double", "f4": "Float", "f2": "Half", "bf16": "BFloat16", "i8": "Long"}


def text(value):
    """Opcodes that push a string."""
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def number(value):
    """Opcodes that push a whole number."""
    return b"\x8a\x08" + int(value).to_bytes(8, "little", signed=True)


def numbers(values):
    """Opcodes that push a tuple of whole numbers."""
    return b"(" + b"".join(number(value) for value in values) + b"t"


def tensor(key, dtype, count, shape, strides=None, offset=0, legacy=False):
    """Opcodes that push a tensor; `count` is that of its storage."""
    if strides is None:
        strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
    storage = b"(" + text("storage") + f"ctorch\n{_STORAGES[dtype]}Storage\n".encode()
    storage += text(key) + text("cpu") + number(count) + (b"N" if legacy else b"") + b"tQ"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    view = number(offset) + numbers(shape) + numbers(strides) + b"\x89" + ORDERED_DICT
    return rebuild + b"(" + storage + view + b"tR"


def mapping(**items):
    """Opcodes that push a dict of strings to whatever other opcodes push."""
    return b"}(" + b"".join(text(name) + value for name, value in items.items()) + b"u"


def pickled(opcodes):
    """A whole pickle."""
    return b"\x80\x02" + opcodes + b"."


def write_zip(path, opcodes, storages=None, order=b"little", compression=zipfile.ZIP_STORED):
    """Write the format since PyTorch 1.6; `storages` maps keys to bytes."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled(opcodes))
        archive.writestr("archive/byteorder", order)
        for key, data in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", data)
    return path


def write_legacy(path, opcodes, storages=None, little_endian=True):
    """Write the format before PyTorch 1.6; `storages` maps keys to (count, bytes)."""
    magic = b"\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
    system = mapping(little_endian=b"\x88" if little_endian else b"\x89")
    keys = b"](" + b"".join(text(key) for key in storages or {}) + b"e"
    parts = [pickled(part) for part in (magic, number(1001), system, opcodes, keys)]
    order = "little" if little_endian else "big"
    parts += [count.to_bytes(8, order) + data for count, data in (storages or {}).values()]
    path.write_bytes(b"".join(parts))
    return path
