"""What every reader of image files has to keep. A reader's tests inherit `ReaderContract`."""

import pickle
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from synthograph.core.record import UnreadableError, array_of
from synthograph.core.untrusted.containers import HEAD_BYTES, Folder
from synthograph.sources.base import AS_IT_COMES, Reader, SourceFile
from synthograph.sources.readers import READERS, FileDecoder, find_reader, image_suffix


class ReaderContract:
    """Attributes: the reader, whole files by name, and the number of images in each."""

    reader: ClassVar[Reader]
    samples: ClassVar[dict[str, bytes]]
    images: ClassVar[int] = 1

    @pytest.fixture
    def files(self, tmp_path: Path) -> list[SourceFile]:
        for name, data in self.samples.items():
            (tmp_path / name).write_bytes(data)
        return [SourceFile(Folder(tmp_path), name) for name in self.samples]

    def test_it_is_registered_under_endings_of_its_own(self) -> None:
        assert self.reader in READERS and self.reader.formats
        for suffix in self.reader.suffixes:
            assert suffix.startswith(".") and suffix == suffix.lower()
            assert not any(suffix in other.suffixes for other in READERS if other != self.reader)
            assert image_suffix(f"a/b{suffix.upper()}") == suffix

    def test_its_files_are_found_by_ending_and_by_content(self, files: list[SourceFile]) -> None:
        for file in files:
            assert find_reader(file) == self.reader
            head = file.head()
            assert head == file.read()[:HEAD_BYTES] and self.reader.recognises(head)
            assert not any(r.recognises(head) for r in READERS if r != self.reader)
        assert not self.reader.recognises(b"") and not self.reader.recognises(b"\0" * HEAD_BYTES)

    def test_frames_are_named_and_hold_pixels(self, files: list[SourceFile]) -> None:
        for file in files:
            frames = list(self.reader.frames(file, AS_IT_COMES))
            assert len({frame.name for frame in frames}) == len(frames) == self.images
            for frame in frames:
                pixels, notes = self.reader.read(file, frame.name, AS_IT_COMES)
                array = array_of(pixels)
                assert array.ndim == 3 and array.shape[2] in (1, 3) and array.size
                assert array.dtype in (np.uint8, np.uint16) and all(notes)

    def test_masks_are_ids_or_refused(self, files: list[SourceFile]) -> None:
        for file in files:
            for frame in self.reader.frames(file, AS_IT_COMES):
                try:
                    ids = self.reader.read_mask(file, frame.name, AS_IT_COMES)
                except UnreadableError:
                    continue
                assert ids.dtype == np.uint8 and ids.ndim == 2

    def test_images_are_decoded_in_other_processes(self, files: list[SourceFile]) -> None:
        for file in files:
            for frame in self.reader.frames(file, AS_IT_COMES):
                decoder = FileDecoder((("a", file.container, file.name),), None, frame.name)
                picture = pickle.loads(pickle.dumps(decoder))()
                expected, _ = self.reader.read(file, frame.name, AS_IT_COMES)
                assert np.array_equal(array_of(picture.modalities["a"]), array_of(expected))

    @pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7])
    def test_files_cut_short_are_unreadable(self, tmp_path: Path, share: float) -> None:
        for name, data in self.samples.items():
            (tmp_path / name).write_bytes(data[: int(len(data) * share)])
            file = SourceFile(Folder(tmp_path), name)
            with pytest.raises(UnreadableError):
                for frame in self.reader.frames(file, AS_IT_COMES):
                    self.reader.read(file, frame.name, AS_IT_COMES)
