import CSystemd
import Glibc
public import LockdModel

/// To which systemd unit the process at the other end of a connection belongs, as libsystemd says it.
public enum PeerUnit {
    /// The unit of the process that called connect(): that of its user's systemd if it has one there, else that of the system.
    ///
    /// `nil` if it belongs to none, has ended, or this process cannot see the control groups. Reads files of /proc and asks no other process.
    public static func name(ofPeer socket: CInt) -> Text? {
        name { sd_peer_get_user_unit(socket, $0) } ?? name { sd_peer_get_unit(socket, $0) }
    }

    private static func name(_ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt) -> Text? {
        var found: UnsafeMutablePointer<CChar>?
        guard call(&found) >= 0, let found else { return nil }
        defer { free(found) }
        return try? Text(String(cString: found), limit: Text.longLimit)
    }
}
