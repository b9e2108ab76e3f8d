"""A file system of Apache Beam in the memory of this process, in place of a cloud: memory://BUCKET/FOLDER."""

import io

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata, FileSystem

FILES: dict[str, bytes] = {}


class _Written(io.BytesIO):
    def __init__(self, path: str):
        super().__init__()
        self._path = path

    def close(self) -> None:
        if not self.closed:
            FILES[self._path] = self.getvalue()  # as in a bucket, the object appears when it is whole
        super().close()


class MemoryFiles(FileSystem):
    @classmethod
    def scheme(cls):
        return "memory"

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        return tuple(path.rsplit("/", 1))

    def mkdirs(self, path):
        pass  # a bucket has no folders

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        return [self.metadata(path) for path in sorted(FILES) if path.startswith(dir_or_prefix)]

    def create(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        return _Written(path)

    def open(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        if path not in FILES:
            raise BeamIOError("not found", {path: FileNotFoundError(2, "No such object")})
        return io.BytesIO(FILES[path])

    def copy(self, source_file_names, destination_file_names):
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            FILES[target] = FILES[source]

    def rename(self, source_file_names, destination_file_names):
        self.copy(source_file_names, destination_file_names)
        self.delete(source_file_names)

    def exists(self, path):
        return path in FILES

    def size(self, path):
        return len(FILES[path])

    def last_updated(self, path):
        return 0.0

    def checksum(self, path):
        return str(hash(FILES[path]))

    def metadata(self, path):
        return FileMetadata(path, len(FILES[path]), 0.0)

    def delete(self, paths):
        for path in paths:
            FILES.pop(path, None)
