/// Lines of words in columns as wide as their widest word.
struct Table {
    private var rows: [[String]]
    /// What the words of a column are, by its name.
    private let emphasis: [String: (String) -> Emphasis?]

    /// - Parameter emphasis: what the words of a column are, by its name.
    init(header: [String], emphasis: [String: (String) -> Emphasis?] = [:]) {
        rows = [header]
        self.emphasis = emphasis
    }

    mutating func append(_ row: [String]) {
        precondition(row.count == rows[0].count, "a row of \(row.count) words in a table of \(rows[0].count) columns")
        rows.append(row)
    }

    /// The table without those of the columns in which nothing is said.
    func without(empty columns: Set<String>) -> Table {
        let kept = rows[0].indices.filter { column in
            !columns.contains(rows[0][column]) || rows.dropFirst().contains { !$0[column].isEmpty }
        }
        var table = self
        table.rows = rows.map { row in kept.map { row[$0] } }
        return table
    }

    /// The table with these columns, in this order.
    func only(_ columns: [String]) -> Table {
        let kept = columns.compactMap { rows[0].firstIndex(of: $0) }
        var table = self
        table.rows = rows.map { row in kept.map { row[$0] } }
        return table
    }

    /// The table, two spaces between columns, no space at a line's end.
    var lines: [String] { inkedLines.map(\.plain) }

    /// The same, its header and what is remarkable set off.
    var inkedLines: [InkedLine] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.enumerated().map { index, row in
            let last = row.lastIndex { word in word.contains { $0 != " " } } ?? 0
            return InkedLine(
                row[...last].enumerated().flatMap { column, word in
                    let emphasis = index == 0 ? .heading : emphasis[rows[0][column]]?(word)
                    if column == last { return [(String(word.reversed().drop { $0 == " " }.reversed()), emphasis)] }
                    return [(word, emphasis), (String(repeating: " ", count: widths[column] - word.count + 2), nil)]
                }
            )
        }
    }
}
