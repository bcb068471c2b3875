import LockdModel
import Yams

/// The configuration file: YAML in which every key is known.
///
/// A key that nobody reads is a setting that is not what its author thinks, so it is an error. Whether the values are right is
/// for ``SettingsSources`` to see, as it is of all sources.
struct SettingsFile {
    private let path: String
    /// What it says of each setting, by key.
    private(set) var said: [String: Said] = [:]
    /// What is wrong with it, with the line.
    private(set) var problems: [String] = []
    /// The line in which each key was first met.
    private var lines: [String: Int] = [:]

    /// The file at `path`, or an empty one if there is no path.
    init(path: String?) {
        self.path = path ?? ""
        guard let path else { return }
        var composition = Composition()
        defer {
            let repetitions = composition.unresolved.map {
                "\(path):\($0.line): said again further down: \(Readable.text($0.key))"
            }
            problems.insert(contentsOf: repetitions, at: 0)
        }
        do {
            let text = try TextFile.read(path)
            if let line = YamlReference.firstLine(in: text) {
                problems.append("\(path):\(line): references, & and * before a word, are not for this file")
                return
            }
            guard let root = try composition.node(of: text) else { return }
            guard let mapping = root.mapping else {
                problems.append("\(place(of: root)): expected lines like \"socket: /run/lockd/lockd.sock\"")
                return
            }
            read(mapping, below: nil)
        } catch let error as YamlError {
            problems.append(sentence(of: error))
        } catch {
            problems.append("\(error)")
        }
    }

    /// Takes what `mapping` says, which is all of the file or, `below` a name, a part of it.
    private mutating func read(_ mapping: Node.Mapping, below group: String?) {
        let prefix = group.map { $0 + "." } ?? ""
        let settings = Setting.all.filter { $0.path.dropLast() == (group.map { [$0] } ?? []) }
        let known = settings.map(\.key) + (group == nil ? [LimitSetting.group] : [])
        for (key, value) in mapping {
            let name = prefix + (key.scalar?.string ?? "?")
            guard known.contains(name) else {
                let meant = Likeness.nearest(to: name, among: known).map { " (did you mean \($0)?)" } ?? ""
                let choice = known.joined(separator: ", ")
                let shown = Readable.text(String(name.prefix(64)))
                problems.append("\(place(of: key)): unknown key \"\(shown)\"\(meant); known are \(choice)")
                continue
            }
            let first = lines[name]
            if let first { problems.append("\(place(of: key)): \(name) is said already, in line \(first)") }
            lines[name] = first ?? key.mark?.line
            if name == LimitSetting.group {
                guard let limits = value.mapping else {
                    problems.append("\(place(of: value)): \(name) must be a list of lines like \"sessions: 100\"")
                    continue
                }
                read(limits, below: name)
            } else if first == nil {
                said[name] = Said(text: value.scalar?.string, place: place(of: value))
            } else if let objection = Setting.all.first(where: { $0.key == name })?.objection(to: value.scalar?.string)
            {
                // The sources look at the first one only.
                problems.append("\(place(of: value)): \(objection)")
            }
        }
    }

    private func place(of node: Node) -> String { node.mark.map(place) ?? path }

    private func place(of mark: Mark) -> String { "\(path):\(mark.line)" }

    /// What is wrong with a file that is no YAML.
    private func sentence(of error: YamlError) -> String {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            // Where something has begun that has no end is the place to look at.
            let begun = context.map { ", \($0.text) of line \($0.mark.line)" } ?? ""
            return "\(place(of: mark)): this is not YAML: \(problem)\(begun)"
        case .reader(let problem, let offset, _, let text):
            let line = offset.map { text.prefix($0).count { $0.isNewline } + 1 }
            return "\(path)\(line.map { ":\($0)" } ?? ""): this is not YAML: \(problem)"
        case .duplicatedKeysInMapping, .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            return "\(path): \(error)"
        @unknown default: return "\(path): \(error)"
        }
    }
}
