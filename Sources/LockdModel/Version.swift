/// The version of this program and of its client library.
public enum LockdVersion {
    /// As in `CHANGELOG.md`.
    public static let current = "0.1.0"
}
