"""An ICC profile that swaps two colours."""

from PIL import ImageCms


def profile_with_red_and_blue_swapped():
    """An sRGB profile with swapped red and blue primaries: red in the file is shown as blue."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "kgan".encode("utf-16-be"))
    return profile.replace(b"rXYZ", b"tmp_").replace(b"bXYZ", b"rXYZ").replace(b"tmp_", b"bXYZ")
