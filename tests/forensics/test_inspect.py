import datetime
import io
import struct

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from hf_deepfake.errors import ImageError
from hf_deepfake.forensics import inspect as inspect_module
from hf_deepfake.forensics.inspect import MEANINGS, inspect_image


def encode(kind="JPEG", **options):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def certificate(name, key, issuer, issuer_key, *, authority):
    """One that the C2PA profile of certificates allows (specification 2.1, section 14.5)."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    subject = x509.Name([*subject, x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Test newsroom")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(not authority, False, False, False, False, authority, authority, False, False), critical=True
        )
    )
    if not authority:
        usage = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(usage, critical=False)
    return subject, builder.sign(issuer_key, hashes.SHA256())


def sign(encoded):
    """The file with Content Credentials that say it was made by a trained algorithm."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name, root = certificate("Test root", root_key, None, root_key, authority=True)
    _, leaf = certificate("Test signer", key, root_name, root_key, authority=False)
    chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, root))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, secret, None))
    source = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    actions = {"actions": [{"action": "c2pa.created", "digitalSourceType": source}]}
    manifest = {
        "claim_generator_info": [{"name": "Test camera", "version": "1"}],
        "format": "image/jpeg",
        "assertions": [{"label": "c2pa.actions", "data": actions}],
    }
    signed = io.BytesIO()
    c2pa.Builder(manifest).sign(signer, "image/jpeg", io.BytesIO(encoded), signed)
    return signed.getvalue()


def test_credentials_are_read_and_not_trusted_blindly():
    lines = inspect_image(sign(encode())).facts["Content Credentials"]
    assert lines[0].startswith("signed by Test")
    assert "c2pa.created, source: trainedAlgorithmicMedia" in lines
    assert any("Test camera" in line for line in lines)
    assert "Trusted" not in lines[0]


def test_a_changed_image_breaks_its_credentials():
    signed = bytearray(sign(encode()))
    signed[-300] ^= 0x55
    assert "Invalid" in inspect_image(bytes(signed)).facts["Content Credentials"][0]


def test_no_credentials_and_no_reader(monkeypatch):
    assert inspect_image(encode()).facts["Content Credentials"] == ["none"]
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    assert "hf-deepfake[c2pa]" in inspect_image(encode()).facts["Content Credentials"][0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_of_every_format(kind):
    exif = Image.Exif()
    exif[0x010F], exif[0x0131] = "Maker & Co", "Retouch 3\n\x1b[31m"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    exif.get_ifd(0x8825)[1] = "N"
    lines = inspect_image(encode(kind, exif=exif)).facts["EXIF"]
    assert set(lines) == {
        "maker: Maker   Co",
        "program: Retouch 3   31m",
        "taken: 2026:01:02 03:04:05",
        "place: stated (GPS)",
    }


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_orientation_alone_is_not_none(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert inspect_image(encode(kind, exif=exif)).facts["EXIF"] == ["stored: turned by 90 degrees to the left"]
    exif[0x0112] = 77
    expected = ["stored: in orientation 77, which means nothing"]
    assert inspect_image(encode(kind, exif=exif)).facts["EXIF"] == expected


def test_how_pixels_lie_is_what_turning_them_upright_undoes():
    # A mark in the upper left corner is seen in the upper right one: it was turned by 90 degrees to the left.
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:16, :16] = 255
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    upright = np.asarray(inspect_image(buffer.getvalue()).image)
    assert upright.shape == (96, 64, 3)
    assert upright[:16, -16:].min() == 255


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_of_which_nothing_is_shown_is_not_none(kind):
    exif = Image.Exif()
    exif[0x8298] = "a notice"  # copyright
    assert inspect_image(encode(kind, exif=exif)).facts["EXIF"] == ["there is some, but nothing that is shown here"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP"])
def test_no_exif_is_none(kind):
    assert inspect_image(encode(kind)).facts["EXIF"] == ["none"]


def test_hostile_exif_is_cut_short():
    # A folder that points at itself, with more entries than the block has, all of them huge.
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    block = b"II*\0" + struct.pack("<IH", 8, 65535) + entry + struct.pack("<HHII", 0x0110, 2, 2**32 - 1, 8) * 5000
    pixels = encode()
    hostile = pixels[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + pixels[2:]
    lines = inspect_image(hostile).facts["EXIF"]
    assert len(lines) <= 2 * inspect_module._EXIF_ENTRIES
    assert all(len(line) < 140 for line in lines)


def test_how_a_jpeg_was_saved():
    lines = inspect_image(encode(quality=80, subsampling=2, progressive=True)).facts["File"]
    assert lines[0].startswith("JPEG, 96 x 64 px, ")
    assert lines[1] == "quality about 80 of 100, colour at a quarter of the resolution, progressive"
    assert len(inspect_image(encode("PNG")).facts["File"]) == 1


def test_summary_says_what_each_part_can_show():
    found = inspect_image(encode())
    assert {*found.facts, *found.views} == set(MEANINGS)
    text = found.summary()
    assert all(meaning in text for meaning in MEANINGS.values())


def test_no_image():
    with pytest.raises(ImageError, match="no such file"):
        inspect_image("nowhere.jpg")
    with pytest.raises(ImageError, match="not an image"):
        inspect_image(b"text")
