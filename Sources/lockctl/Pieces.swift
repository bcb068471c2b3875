/// Pieces of text that are put in order when all of them are there.
struct Pieces: ~Copyable {
    private var bytes = ByteBuffer()
    /// Where each piece begins, and where the last one ends.
    private var bounds = [0]

    /// Adds the piece that `write` writes.
    mutating func add(_ write: (inout ByteBuffer) -> Void) {
        write(&bytes)
        bounds.append(bytes.count)
    }

    /// Appends a piece to `output`, by its number in the order in which they were added.
    func write(_ number: Int, to output: inout ByteBuffer) {
        bytes.withBytes {
            output.write(bytes: UnsafeRawBufferPointer(rebasing: $0[bounds[number]..<bounds[number + 1]]))
        }
    }
}
