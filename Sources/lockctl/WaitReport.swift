import Glibc
import LockdModel
import LockdWire

/// Says on stderr how a wait goes.
struct WaitReport {
    private let report: LeaseReport
    private var hasLine = false

    /// Back to the beginning of the line, which is cleared.
    private static let clear = "\r\u{1B}[K"

    init(_ report: LeaseReport) { self.report = report }

    /// Says how it is now.
    mutating func update(position: Int, on: LockName?, holder: Reply.Holder?, waiterCount: Int) {
        func line(isBrief: Bool) -> String {
            Self.line(report.names, position, on, holder, waiterCount, at: .now(), isBrief: isBrief)
        }
        switch report.form {
        case .silent, .quiet: break
        case .line:
            let columns = Terminal.columns(of: STDERR_FILENO) ?? 80
            let line = ["lockctl: \(line(isBrief: false))", "lockctl: \(line(isBrief: true))"]
            let fitting = line.first { Terminal.width(of: $0) < columns } ?? Terminal.cut(line[1], columns: columns)
            write(Self.clear + Ink(for: STDERR_FILENO)(fitting, .quiet), to: STDERR_FILENO)
            hasLine = true
        case .lines: complain(line(isBrief: false), as: .quiet)
        case .json: report.waits(position: position, on: on, holder: holder, waiterCount: waiterCount)
        }
    }

    /// Leaves a clean line to whoever writes next.
    mutating func end() {
        if hasLine { write(Self.clear, to: STDERR_FILENO) }
        hasLine = false
    }

    /// `waiting for db, #2 of 3: held by backup (pid 12, user root, backup.service) since 14:02:11 (nightly run)`.
    ///
    /// What may be cut off stands last. Briefly, it is `#2 of 3: held by backup (pid 12): nightly run, since 14:02:11`.
    static func line(
        _ names: LockNames,
        _ position: Int,
        _ on: LockName?,
        _ holder: Reply.Holder?,
        _ waiterCount: Int,
        at now: WallTime,
        isBrief: Bool = false
    ) -> String {
        let place = position == 1 && waiterCount == 1 ? "next" : "#\(position) of \(waiterCount)"
        let what = on.map { names.count == 1 ? "" : "\($0.display) is " } ?? ""
        let who =
            holder.map { holder in
                let more = holder.count > 1 ? " and \(holder.count - 1) more" : ""
                let since = "since \(now.earlier(by: holder.held).display(at: now))"
                if isBrief {
                    let note = holder.note.map { ": \($0.display)," } ?? ""
                    return "held by \(holder.peer.briefly)\(more)\(note) \(since)"
                }
                let note = holder.note.map { " (\($0.display))" } ?? ""
                return "held by \(holder.peer.display)\(more) \(since)\(note)"
            } ?? "held by nobody"
        return "waiting for \(names.display), \(place): \(what)\(who)"
    }
}
