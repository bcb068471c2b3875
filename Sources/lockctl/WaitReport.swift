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
        var line: String { Self.line(report.names, position, on, holder, waiterCount, at: .now()) }
        switch report.form {
        case .silent, .quiet: break
        case .line:
            let cut = Terminal.cut("lockctl: \(line)", columns: Terminal.columns(of: STDERR_FILENO) ?? 80)
            write(Self.clear + Ink(for: STDERR_FILENO)(cut, .quiet), to: STDERR_FILENO)
            hasLine = true
        case .lines: complain(line, as: .quiet)
        case .json: report.waits(position: position, on: on, holder: holder, waiterCount: waiterCount)
        }
    }

    /// Leaves a clean line to whoever writes next.
    mutating func end() {
        if hasLine { write(Self.clear, to: STDERR_FILENO) }
        hasLine = false
    }

    /// `waiting for db: held by backup (pid 12, user root, backup.service) since 14:02:11 (nightly run); 2nd of 3 in the queue`.
    static func line(
        _ names: LockNames,
        _ position: Int,
        _ on: LockName?,
        _ holder: Reply.Holder?,
        _ waiterCount: Int,
        at now: WallTime
    ) -> String {
        let what = on.map { names.count == 1 ? "" : "\($0.display) is " } ?? ""
        let who =
            holder.map { holder in
                let more = holder.count > 1 ? " and \(holder.count - 1) more" : ""
                let note = holder.note.map { " (\($0.display))" } ?? ""
                return
                    "held by \(holder.peer.display)\(more) since \(now.earlier(by: holder.held).display(at: now))\(note)"
            } ?? "held by nobody"
        let place = position == 1 ? "next" : "\(position - 1) ahead"
        let queue = waiterCount == 1 ? place : "\(place), \(waiterCount) waiting"
        return "waiting for \(names.display): \(what)\(who); \(queue)"
    }
}
