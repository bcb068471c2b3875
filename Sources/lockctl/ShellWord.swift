import LockdModel

extension String {
    /// As a shell takes it for one word.
    var shellWord: String {
        let isPlain = !isEmpty && allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_=./:,+".contains($0)) }
        if isPlain { return self }
        let parts = Readable.text(self).split(separator: "'", omittingEmptySubsequences: false)
        return "'" + parts.joined(separator: #"'\''"#) + "'"
    }
}
