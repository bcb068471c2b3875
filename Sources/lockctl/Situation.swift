import LockdModel
import LockdWire

/// Why a lease is not to be had, in words for people.
enum Situation {
    /// Who is in the way, and how many wait.
    static func words(_ holder: Reply.Holder?, _ waiterCount: Int) -> String {
        let who =
            holder.map { holder in
                let more = holder.count > 1 ? " and \(holder.count - 1) more" : ""
                let note = holder.note.map { " (\($0.display))" } ?? ""
                return "held by \(holder.display)\(more)\(note)"
            } ?? "somebody waits for it"
        return waiterCount == 0 ? who : "\(who), \(waiterCount) waiting"
    }

    /// Who waits for whom, one step a line.
    static func deadlock(_ names: LockNames, _ edges: [Reply.EdgeLine]) -> [String] {
        let it = names.count == 1 ? "it" : "them"
        return ["\(names.display) would never be granted: whoever has \(it) waits for what this session holds"]
            + edges.map { edge in
                let waiter = party(edge.waiterProcess, edge.waiterOwner)
                let owner = edge.holderOwner.map { ", owner \($0.display)" } ?? ""
                let holder = edge.holder.display + owner
                return switch edge.obstacle {
                case .lease(let held, let token):
                    "  \(waiter) waits for \(edge.name.display), held by \(holder) for \(held.display), token \(token)"
                case .request(let waited):
                    "  \(waiter) waits for \(edge.name.display) behind \(holder), who waits for \(waited.display)"
                }
            }
    }

    private static func party(_ process: ProcessID?, _ owner: Text?) -> String {
        (process.map { "pid \($0)" } ?? "a process") + (owner.map { " (owner \($0.display))" } ?? "")
    }
}

extension LockNames {
    /// The names as a person reads them.
    var display: String { map(\.display).joined(separator: " ") }

    /// The verb that goes with the names.
    var areOrIs: String { count == 1 ? "is" : "are" }

    /// That the holder before left them behind, for a person who has to see whether something is half done.
    func sentence(of abandonment: Abandonment) -> String {
        let peer = Reply.Peer(
            session: nil,
            process: abandonment.process,
            user: abandonment.user,
            command: abandonment.command
        )
        let how =
            switch abandonment.ending {
            case .ended: "ended without releasing its lease"
            case .expired: "lost its lease, because the ttl ran out"
            case .revoked: "lost its lease, because that was revoked"
            }
        let note = abandonment.note.map { ": \($0.display)" } ?? ""
        let what =
            "held \(count == 1 ? "" : "one of ")\(display) for \(abandonment.held.display), token \(abandonment.token)"
        return "the holder before \(how); it may have left something half done: \(peer.display) \(what)\(note)"
    }
}
