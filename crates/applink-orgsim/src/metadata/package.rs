//! A package: its manifest (`package.xml`), its deletions (`destructiveChanges*.xml`) and its component
//! files, each file matched with the manifest. What doesn't match becomes a [`PackageFault`].

use std::collections::{BTreeMap, BTreeSet};

use super::archive::Files;
use super::component::ComponentType;
use super::shapes::{self, Problem};
use super::xml::{self, Element};

/// A component of the package that has its file.
#[derive(Debug)]
pub(crate) struct ComponentFile {
    pub(crate) component_type: ComponentType,
    pub(crate) full_name: String,
    /// The path inside the package, as failures report it.
    pub(crate) file_name: String,
    pub(crate) content: Vec<u8>,
}

/// A component the package asks to delete.
#[derive(Debug, Clone)]
pub(crate) struct Deletion {
    pub(crate) component_type: ComponentType,
    pub(crate) full_name: String,
    /// Which destructive manifest names it.
    pub(crate) file_name: String,
}

/// Something wrong with the package itself rather than with the content of a component.
#[derive(Debug)]
pub(crate) struct PackageFault {
    pub(crate) component_type: String,
    pub(crate) full_name: String,
    pub(crate) file_name: String,
    pub(crate) problem: Problem,
}

/// A package, read and matched, its components in manifest-independent order (by type, then name).
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) components: Vec<ComponentFile>,
    pub(crate) deletions_before: Vec<Deletion>,
    pub(crate) deletions_after: Vec<Deletion>,
    pub(crate) faults: Vec<PackageFault>,
}

const MANIFEST: &str = "package.xml";
const DESTRUCTIVE_BEFORE: [&str; 2] = ["destructiveChanges.xml", "destructiveChangesPre.xml"];
const DESTRUCTIVE_AFTER: &str = "destructiveChangesPost.xml";

impl Package {
    /// Reads a package; `single` says whether its root is the package or holds one directory that is.
    pub(crate) fn read(files: Files, single: bool) -> Self {
        let mut package = Self::default();
        let mut files = if single { files } else { strip_top_directory(files) };
        let Some(manifest) = files.remove(MANIFEST) else {
            package.fault("", MANIFEST, MANIFEST, Problem::new("No package.xml found"));
            return package;
        };
        let listed = package.manifest(MANIFEST, &manifest);
        for name in DESTRUCTIVE_BEFORE {
            let deletions = package.destructive(&mut files, name);
            package.deletions_before.extend(deletions);
        }
        package.deletions_after = package.destructive(&mut files, DESTRUCTIVE_AFTER);
        package.match_files(files, &listed);
        package
    }

    fn fault(&mut self, component_type: &str, full_name: &str, file_name: &str, problem: Problem) {
        self.faults.push(PackageFault {
            component_type: component_type.to_owned(),
            full_name: full_name.to_owned(),
            file_name: file_name.to_owned(),
            problem,
        });
    }

    /// Members by type name; unknown types become faults.
    fn manifest(&mut self, file_name: &str, source: &[u8]) -> BTreeMap<ComponentType, BTreeSet<String>> {
        let mut listed: BTreeMap<ComponentType, BTreeSet<String>> = BTreeMap::new();
        let root = match read_manifest(source) {
            Ok(root) => root,
            Err(problem) => {
                self.fault("", file_name, file_name, problem);
                return listed;
            }
        };
        for group in root.all("types") {
            let type_name = group.text_of("name").unwrap_or_default();
            let Some(component_type) = ComponentType::from_name(&type_name) else {
                let problem = Problem::at(
                    format!("Unknown type name '{type_name}' specified in {file_name}"),
                    group.at,
                );
                self.fault("", &type_name, file_name, problem);
                continue;
            };
            let members = group.all("members").map(|member| member.text.trim().to_owned());
            listed.entry(component_type).or_default().extend(members.filter(|member| !member.is_empty()));
        }
        listed
    }

    fn destructive(&mut self, files: &mut Files, file_name: &str) -> Vec<Deletion> {
        let Some(source) = files.remove(file_name) else { return Vec::new() };
        let mut deletions = Vec::new();
        // What refers to others goes before them: against the order in which components are made.
        for (component_type, members) in self.manifest(file_name, &source).into_iter().rev() {
            for full_name in members {
                if full_name == "*" {
                    let text = format!("Wildcards are not allowed in {file_name}");
                    self.fault(component_type.name(), "*", file_name, Problem::new(text));
                    continue;
                }
                deletions.push(Deletion { component_type, full_name, file_name: file_name.to_owned() });
            }
        }
        deletions
    }

    /// Pairs files with manifest members; both sides without a partner are faults.
    fn match_files(&mut self, files: Files, listed: &BTreeMap<ComponentType, BTreeSet<String>>) {
        let mut found: BTreeSet<(ComponentType, String)> = BTreeSet::new();
        for (path, content) in files {
            let Some((component_type, full_name)) = ComponentType::of_path(&path) else {
                let problem = Problem::new(format!("{path} is not a metadata file this org knows"));
                self.fault("", &path, &path, problem);
                continue;
            };
            let members = listed.get(&component_type);
            if !members.is_some_and(|names| names.contains("*") || names.contains(&full_name)) {
                self.fault(component_type.name(), &full_name, &path, Problem::new("Not in package.xml"));
                continue;
            }
            found.insert((component_type, full_name.clone()));
            self.components.push(ComponentFile { component_type, full_name, file_name: path, content });
        }
        for (component_type, names) in listed {
            for name in names.iter().filter(|name| *name != "*") {
                if !found.contains(&(*component_type, name.clone())) {
                    self.missing_file(*component_type, name);
                }
            }
        }
        self.components
            .sort_by(|a, b| (a.component_type, &a.full_name).cmp(&(b.component_type, &b.full_name)));
    }

    fn missing_file(&mut self, component_type: ComponentType, full_name: &str) {
        let path = component_type.path_of(full_name);
        let text = format!(
            "An object '{full_name}' of type {} was named in package.xml, but was not found in zipped directory",
            component_type.name()
        );
        if !self.faults.iter().any(|fault| fault.file_name == path) {
            self.fault(component_type.name(), full_name, &path, Problem::new(text));
        }
    }
}

fn read_manifest(source: &[u8]) -> Result<Element, Problem> {
    let root = xml::parse(source).map_err(|error| Problem::at(error.problem, error.at))?;
    if root.name != "Package" {
        return Err(Problem::at(format!("the root element is {}, expected Package", root.name), root.at));
    }
    shapes::check(&root, &shapes::PACKAGE)?;
    Ok(root)
}

fn strip_top_directory(files: Files) -> Files {
    files
        .into_iter()
        .filter_map(|(path, content)| path.split_once('/').map(|(_, rest)| (rest.to_owned(), content)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NS: &str = super::xml::NAMESPACE;

    fn files(entries: &[(&str, String)]) -> Files {
        entries.iter().map(|(name, content)| ((*name).to_owned(), content.clone().into_bytes())).collect()
    }

    fn manifest(types: &[(&str, &[&str])]) -> String {
        let types: String = types
            .iter()
            .map(|(name, members)| {
                let members: String = members.iter().map(|m| format!("<members>{m}</members>")).collect();
                format!("<types>{members}<name>{name}</name></types>")
            })
            .collect();
        format!("<Package xmlns=\"{NS}\">{types}<version>66.0</version></Package>")
    }

    #[test]
    fn files_are_matched_with_the_manifest() {
        let package = Package::read(
            files(&[
                (
                    "package.xml",
                    manifest(&[
                        ("PermissionSet", &["A", "Gone"]),
                        ("NamedCredential", &["*"]),
                        ("ApexClas", &["X"]),
                    ]),
                ),
                ("permissionsets/A.permissionset", "x".into()),
                ("permissionsets/B.permissionset", "x".into()),
                ("namedCredentials/N.namedCredential", "x".into()),
                ("stray.txt", "x".into()),
            ]),
            true,
        );
        let names: Vec<_> =
            package.components.iter().map(|c| (c.component_type, c.full_name.as_str())).collect();
        assert_eq!(names, [(ComponentType::NamedCredential, "N"), (ComponentType::PermissionSet, "A")]);
        let faults: Vec<_> =
            package.faults.iter().map(|f| (f.full_name.as_str(), f.problem.text.as_str())).collect();
        assert_eq!(faults[0], ("ApexClas", "Unknown type name 'ApexClas' specified in package.xml"));
        assert_eq!(faults[1], ("B", "Not in package.xml"));
        assert_eq!(faults[2].0, "stray.txt");
        assert!(faults[3].1.starts_with("An object 'Gone' of type PermissionSet was named in package.xml"));
    }

    #[test]
    fn a_package_in_a_directory_and_its_deletions_are_read() {
        let package = Package::read(
            files(&[
                ("top/package.xml", manifest(&[])),
                ("top/destructiveChangesPost.xml", manifest(&[("PermissionSet", &["Old", "*"])])),
            ]),
            false,
        );
        assert_eq!(package.deletions_after.len(), 1);
        assert_eq!(package.deletions_after[0].full_name, "Old");
        assert_eq!(package.faults[0].problem.text, "Wildcards are not allowed in destructiveChangesPost.xml");
    }

    #[test]
    fn a_package_without_a_manifest_says_so() {
        let package = Package::read(files(&[("x/package.xml", manifest(&[]))]), true);
        assert_eq!(package.faults[0].problem.text, "No package.xml found");
        let broken = Package::read(files(&[("package.xml", "<Package".into())]), true);
        assert_eq!(broken.faults[0].problem.at.unwrap().line, 1);
    }
}
