/// Lines of words in columns as wide as their widest word.
///
/// The words of all rows stand in one piece of memory: a listing has a million of them.
struct Table: ~Copyable {
    private let header: [String]
    /// What the words of a column are, by its name.
    private let emphasis: [String: (String) -> Emphasis?]
    /// Which columns are shown, in this order.
    private var shown: [Int]

    /// The words one behind the other, line by line, the header first.
    private var text = ByteBuffer()
    private var words: [Word] = []
    /// Where each line begins in `text`.
    private var starts: [Int] = []
    /// How wide each column is.
    private var widths: [Int]
    /// In which columns anything is said below the header.
    private var hasWords: [Bool]

    private struct Word {
        var byteCount: Int32
        /// How many columns it takes.
        var width: Int32
    }

    /// - Parameter emphasis: what the words of a column are, by its name.
    init(header: [String], emphasis: [String: (String) -> Emphasis?] = [:]) {
        self.header = header
        self.emphasis = emphasis
        shown = Array(header.indices)
        widths = header.map { _ in 0 }
        hasWords = header.map { _ in false }
        append(header)
        hasWords = header.map { _ in false }
    }

    mutating func append(_ row: [String]) {
        appendRow { words in
            for word in row { words.add(word) }
        }
    }

    /// Appends the row whose words `add` adds, one for each column.
    mutating func appendRow(_ add: (inout Self) -> Void) {
        starts.append(text.count)
        add(&self)
        precondition(
            words.count == starts.count * header.count,
            "\(words.count) words in \(starts.count) lines of \(header.count) columns"
        )
    }

    /// Adds a word to the row that is being appended.
    mutating func add(_ word: String) { add { $0.write(text: word) } }

    /// The same of a word that `write` writes.
    @inline(__always)
    mutating func add(_ write: (inout ByteBuffer) -> Void) {
        let start = text.count
        write(&text)
        endWord(from: start)
    }

    private mutating func endWord(from start: Int) {
        let width = text.withBytes { Self.width(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        let column = words.count - (starts.count - 1) * header.count
        words.append(Word(byteCount: Int32(text.count - start), width: Int32(width)))
        if width > widths[column] { widths[column] = width }
        if text.count > start { hasWords[column] = true }
    }

    /// How many columns it takes.
    private static func width(_ word: UnsafeRawBufferPointer) -> Int {
        // Of others, several bytes may be one character, and that as wide as two.
        let isPrintableASCII = word.allSatisfy { $0 >= 0x20 && $0 <= 0x7E }
        return isPrintableASCII ? word.count : Terminal.width(of: String(decoding: word, as: UTF8.self))
    }

    /// Leaves out those of the columns in which nothing is said.
    mutating func hide(empty columns: Set<String>) {
        shown = shown.filter { [header, hasWords] in !columns.contains(header[$0]) || hasWords[$0] }
    }

    /// How wide the last column has to be, of which the rest may be cut off.
    private static let leastOfLast = 12

    /// Leaves out as many of the `expendable` columns as it takes to have `width`, the first of them first.
    mutating func fit(_ width: Int, leavingOut expendable: [String]) {
        var expendable = expendable[...]
        while neededWidth > width, let name = expendable.popFirst() {
            shown.removeAll { [header] in header[$0] == name }
        }
    }

    private var neededWidth: Int {
        guard let last = shown.last else { return 0 }
        return shown.dropLast().reduce(0) { $0 + widths[$1] + 2 } + min(widths[last], Self.leastOfLast)
    }

    /// Leaves these columns, in this order.
    mutating func show(only columns: [String]) {
        shown = columns.compactMap { [header] in header.firstIndex(of: $0) }
    }

    /// How many lines there are: the header, and one for each row.
    var lineCount: Int { starts.count }

    /// The table, two spaces between columns, no space at a line's end.
    var lines: [String] {
        var bytes = ByteBuffer()
        var lines: [String] = []
        for index in 0..<lineCount {
            bytes.cut(to: 0)
            write(line: index, to: &bytes)
            lines.append(bytes.text(0..<bytes.count))
        }
        return lines
    }

    /// One of the ``lines``, what is remarkable in it set off, and the header.
    func inkedLine(_ index: Int) -> InkedLine {
        var words: [(text: String, emphasis: Emphasis?)] = []
        forEachWord(index) { column, bytes, gap in
            let word = text.text(bytes)
            words.append((word, index == 0 ? .heading : emphasis[header[column]]?(word)))
            words.append((String(repeating: " ", count: gap), nil))
        }
        // What has no word but spaces behind it is the last.
        while words.count > 1, words[words.count - 1].text.allSatisfy({ $0 == " " }) { words.removeLast() }
        let blanks = words[words.count - 1].text.utf8.reversed().prefix { $0 == UInt8(ascii: " ") }.count
        words[words.count - 1].text.unicodeScalars.removeLast(blanks)
        return InkedLine(words)
    }

    /// Appends one of the ``lines`` to `bytes`.
    func write(line index: Int, to output: inout ByteBuffer) {
        let start = output.count
        text.withBytes { text in
            forEachWord(index) { _, bytes, gap in
                output.write(bytes: UnsafeRawBufferPointer(rebasing: text[bytes]))
                output.write(spaces: gap)
            }
        }
        var end = output.count
        output.withBytes { bytes in
            while end > start, bytes[end - 1] == UInt8(ascii: " ") { end -= 1 }
        }
        output.cut(to: end)
    }

    /// Calls `body` with each word that is shown in a line: its column, where it stands in `text`, and how many spaces follow up to the next column.
    @inline(__always)
    private func forEachWord(_ index: Int, _ body: (Int, Range<Int>, Int) -> Void) {
        let first = index * header.count
        var (start, next) = (starts[index], 0)
        for column in shown {
            // Mostly the columns stand in their order; if not, it begins at the first again.
            if column < next { (start, next) = (starts[index], 0) }
            while next < column {
                start += Int(words[first + next].byteCount)
                next += 1
            }
            let word = words[first + column]
            body(column, start..<start + Int(word.byteCount), widths[column] - Int(word.width) + 2)
        }
    }
}
